"""Who we are for Globus: a person, by a code that a browser shows, or a service, by its client's id and secret.

Globus knows programs by the id of a client (https://app.globus.org/settings/developers): CWLBALSAM_GLOBUS_CLIENT_ID
names it; CWLBALSAM_GLOBUS_CLIENT_SECRET makes it a service of its own. Tokens are kept in a file of mode 600.
"""

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from cwlbalsam.errors import UserError
from cwlbalsam.sites.transfers.base import TransferError, Trouble
from cwlbalsam.sites.transfers.globus_task import trouble_of

if TYPE_CHECKING:
    from globus_sdk import GlobusApp, TransferClient
    from globus_sdk.login_flows import LoginFlowManager

ID = "CWLBALSAM_GLOBUS_CLIENT_ID"
SECRET = "CWLBALSAM_GLOBUS_CLIENT_SECRET"  # noqa: S105 -- the variable's name
APP_NAME = "cwlbalsam"


def token_file() -> Path:
    """Where tokens are kept."""
    home = os.environ.get("CWLBALSAM_HOME")
    return (Path(home) if home else Path.home() / ".cwlbalsam") / "globus-tokens.json"


def log_in(scopes: Iterable[str] = (), *, flow: "LoginFlowManager | None" = None) -> None:
    """Ask the user to log in, and to consent to what these scopes stand for. A service only gets its tokens.

    flow: how the user is asked; by default a URL is printed and a code is read. Raises UserError.
    """
    from globus_sdk import GlobusAPIError, NetworkError
    from globus_sdk.gare import GlobusAuthorizationParameters
    from globus_sdk.login_flows import CommandLineLoginFlowEOFError

    app = _app(flow)
    client = _client(app)
    try:
        app.login(auth_params=GlobusAuthorizationParameters(required_scopes=list(scopes) or None), force=True)
    except CommandLineLoginFlowEOFError:
        raise UserError("Globus wants a code, and nobody can be asked here", hint="log in from a terminal") from None
    except GlobusAPIError as error:
        raise UserError(f"Globus refuses the login: {error.message}", hint=f"check {ID} and {SECRET}") from error
    except NetworkError as error:
        raise UserError(f"Globus cannot be reached: {error}", hint="is this machine on the network?") from error
    finally:
        client.close()
        app.close()


def missing_consents(collection: str) -> list[str]:
    """Scopes that the user has yet to consent to before files of a collection can be read. Raises TransferError."""
    from globus_sdk import GlobusAPIError, GlobusError

    client = connect()
    try:
        client.operation_ls(collection, limit=1)
    except GlobusError as error:
        if isinstance(error, GlobusAPIError) and error.info.consent_required:
            return error.info.consent_required.required_scopes or []
        raise trouble_of(error) from error
    finally:
        client.close()
    return []


def connect() -> "TransferClient":
    """A client that renews its tokens by itself. Raises TransferError if there are none."""
    from globus_sdk.token_storage import TokenValidationError

    try:
        app = _app(None)
    except UserError as error:
        raise TransferError(Trouble.LOGIN, str(error)) from error
    client = _client(app)
    try:
        app.get_authorizer(client.resource_server or "")
    except TokenValidationError as error:
        client.close()
        app.close()
        raise TransferError(Trouble.LOGIN, f"a login with Globus is needed: {error}") from error
    return client


def _client(app: "GlobusApp") -> "TransferClient":
    from globus_sdk import TransferClient

    return TransferClient(app=app)


def _app(flow: "LoginFlowManager | None") -> "GlobusApp":
    """flow: None if the user is not to be asked in the midst of a run."""
    from globus_sdk import ClientApp, GlobusAppConfig, UserApp
    from globus_sdk.globus_app.config import resolve_by_login_flow
    from globus_sdk.token_storage import JSONTokenStorage

    client_id, secret = os.environ.get(ID), os.environ.get(SECRET)
    if not client_id:
        raise UserError("Globus has to know the program", hint=f"set {ID} to the id of a client registered with it")
    file = token_file()
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    config = GlobusAppConfig(
        login_flow_manager=flow,
        request_refresh_tokens=True,
        token_storage=JSONTokenStorage(file, namespace=client_id),
        token_validation_error_handler=resolve_by_login_flow if secret else None,
    )
    if secret:
        return ClientApp(APP_NAME, client_id=client_id, client_secret=secret, config=config)
    return UserApp(APP_NAME, client_id=client_id, config=config)


Connect = Callable[[], "TransferClient"]
