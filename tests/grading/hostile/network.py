"""Sockets: to this machine, to the world, and through the environment's name."""

# /// attack
# module = "02"
# status = ["graded"]
# ///

# %% first
import socket
for host, port in (("127.0.0.1", @PORT@), ("localhost", @PORT@), ("192.0.2.1", 80)):
    try:
        socket.create_connection((host, port), 2).sendall(b"here")
        print("connected to", host)
    except OSError as error:
        print(error)
