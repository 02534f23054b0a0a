<?php // Say something, and print the answer until the server closes.
$connection = socket_create(AF_INET, SOCK_STREAM, SOL_TCP);
if (!@socket_connect($connection, '127.0.0.1', 1235)) {
    exit('connect: ' . socket_strerror(socket_last_error($connection)) . "\n");
}
socket_write($connection, 'client', 5);
while (($answer = socket_read($connection, 128)) != '') {
    echo "answer \"$answer\"\n";
}
echo "the server has closed\n";
socket_close($connection);
