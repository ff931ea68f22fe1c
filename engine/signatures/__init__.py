"""SSHSIG: a strict check of our own beside `ssh-keygen`."""
