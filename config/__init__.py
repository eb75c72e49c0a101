"""The configuration: found, read, checked as a whole, and explained. Imports nothing else of ours.

``load.load`` gives a ``model.Config`` or raises ``problems.ConfigError`` with everything that is wrong at once.
Passwords are ``secret.Secret`` objects, read when they are needed; ``mapping`` holds which column goes into which CRM
field. Nothing is imported here, because pydantic costs a tenth of a second.
"""
