"""Those outside: the mail server. A mail is built in `mail` and handed over in `smtp`."""
