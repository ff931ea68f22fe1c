"""The evidence pack of a session: written here, verified here, and by stock tools without us.

`reports` and `gather` turn journal records into files, `pack` writes the sealed folder, `verify`
judges one defensively, and `verify_template.md` tells a third party how to do the same with bash,
sha256sum, ssh-keygen and python3 alone.
"""
