<?php // Answer one client with "hi" and close.
$port = 1235;
$listening = socket_create(AF_INET, SOCK_STREAM, SOL_TCP);
if (!@socket_bind($listening, '0.0.0.0', $port)) {
    exit('bind: ' . socket_strerror(socket_last_error($listening)) . "\n");
}
socket_listen($listening, 5);
echo "listening on port $port\n";
$connection = socket_accept($listening);
socket_close($listening);
socket_getpeername($connection, $address);
echo 'heard "', socket_read($connection, 128), "\" from $address\n";
socket_write($connection, 'hi');
socket_close($connection);
