"""Logs a user in to the services that move a site's files."""

import importlib.util

from cwlbalsam.errors import UserError
from cwlbalsam.sites.site import Site
from cwlbalsam.sites.transfers.base import TransferError


def log_in_to(site: Site) -> str:
    """Where the tokens are kept. Asks on the terminal; raises UserError."""
    if not site.globus:
        hint = "ssh logs in by itself; for Globus give the site its collection: `globus: ID`"
        raise UserError(f"nothing of site '{site.name}' needs a login", hint=hint)
    if importlib.util.find_spec("globus_sdk") is None:
        raise UserError("globus-sdk is not installed", hint="pip install 'cwlbalsam[globus]'")
    from cwlbalsam.sites.transfers import globus_login

    globus_login.log_in()
    try:
        if scopes := globus_login.missing_consents(site.globus):
            globus_login.log_in(scopes)
            scopes = globus_login.missing_consents(site.globus)
    except TransferError as error:
        raise UserError(f"collection {site.globus}: {error.message}", hint="is `globus` of the site right?") from error
    if scopes:
        raise UserError(f"Globus still wants the user's consent to {' '.join(scopes)}", hint="log in again")
    return str(globus_login.token_file())
