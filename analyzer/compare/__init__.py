"""Two captures side by side: which connections belong together, what differs, and what got lost on the way."""
