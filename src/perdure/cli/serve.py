"""``perdure serve``: a server for more than the developer's own machine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from perdure.cli.settings import SettingOption, with_settings

__all__ = ["serve"]

LogLevel = Literal["debug", "info", "warning", "error"]

StoreOption = Annotated[
    str, typer.Option("--store", envvar="PERDURE_STORE", metavar="URL", help="Such as sqlite:///data/perdure.db.")
]
HostOption = Annotated[str, typer.Option("--host", envvar="PERDURE_HOST", help="The address to listen on.")]
PortOption = Annotated[int, typer.Option("--port", envvar="PERDURE_PORT", min=0, max=65535, help="0: a free one.")]
PublicUrlOption = Annotated[
    str | None,
    typer.Option("--public-url", envvar="PERDURE_PUBLIC_URL", help="Where callers reach it, behind a proxy."),
]
AllowCodeUploadOption = Annotated[
    bool,
    typer.Option(
        "--allow-code-upload",
        envvar="PERDURE_ALLOW_CODE_UPLOAD",
        help="Let keys with the scope machine-versions.write bring code into this process.",
    ),
]
AllowOrgCreationOption = Annotated[
    bool,
    typer.Option(
        "--allow-org-creation",
        envvar="PERDURE_ALLOW_ORG_CREATION",
        help="Let keys with the scope org.write create further orgs.",
    ),
]
AnonymousAccessOption = Annotated[
    bool,
    typer.Option(
        "--anonymous-access",
        envvar="PERDURE_ANONYMOUS_ACCESS",
        help="Let anonymous sessions into the default org, as far as its machines allow.",
    ),
]
MachinesOption = Annotated[
    list[Path] | None,
    typer.Option("--machines", metavar="PATH", help="Machine files, or directories of them, to deploy at the start."),
]


def serve(
    store: StoreOption,
    host: HostOption = "127.0.0.1",
    port: PortOption = 7373,
    public_url: PublicUrlOption = None,
    allow_code_upload: AllowCodeUploadOption = False,
    allow_org_creation: AllowOrgCreationOption = False,
    anonymous_access: AnonymousAccessOption = False,
    machines: MachinesOption = None,
    open_metrics: Annotated[
        bool,
        typer.Option(
            "--open-metrics", envvar="PERDURE_OPEN_METRICS", help="Show /metrics to everybody who reaches the server."
        ),
    ] = False,
    log_level: Annotated[LogLevel, typer.Option("--log-level", help="What is worth a line.")] = "info",
    setting: SettingOption = None,
) -> None:
    """Serve the machines and instances of a store until SIGINT or SIGTERM.

    The secrets of keys lie in the store sealed with the master key, which comes from PERDURE_MASTER_KEY or from the
    file beside the database. The first key: `perdure keys create admin --store URL`.
    """
    from perdure.bootstrap import deploy_machine_file, open_service, require_master_key
    from perdure.cli.output import say
    from perdure.cli.serving import configure_log, listen, run_server, serve_until_signal, url_of
    from perdure.clock import SystemClock
    from perdure.entropy import SystemEntropy
    from perdure.machine_files import find_machine_files
    from perdure.server.settings import ServerSettings

    configure_log(level=log_level)
    runtime_settings, settings = with_settings(
        setting or [],
        ServerSettings(
            open_metrics=open_metrics,
            public_url=public_url,
            allow_code_upload=allow_code_upload,
            allow_org_creation=allow_org_creation,
        ),
    )
    master_key = require_master_key(store)
    files = find_machine_files(machines or [])
    listener = listen(host, port)

    async def main() -> None:
        service = open_service(
            store,
            master_key=master_key,
            settings=settings,
            clock=SystemClock(),
            entropy=SystemEntropy(),
            runtime_settings=runtime_settings,
            anonymous_access=anonymous_access,
        )
        async with service as running:
            for file in files:
                version, is_new = await deploy_machine_file(running.runtime, running.org, file)
                say(f"{file.machine}: {'deployed' if is_new else 'unchanged'}, version {version.id}")
            say(f"perdure serves {store} on {url_of(listener)}")
            await serve_until_signal(running.app, listener)

    with listener:
        run_server(main)
