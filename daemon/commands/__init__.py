"""The commands of ``crmsync``. Importing them costs nothing but click: the rest is loaded when a command runs."""
