"""
From one TOML text to settled options.

Open :mod:`~momentum_tx.config.load` first: it makes a
:class:`~momentum_tx.config.configuration.Configuration` of a file, or refuses
the file whole with one line per mistake.  Options themselves are declared in
:mod:`momentum_tx.settings`; here is only how they are written, checked and
found through the scopes.

Not done here: whatever needs the machine (is the address ours, is the port
free, may the directory be written), and the reloading of a running service.
"""
