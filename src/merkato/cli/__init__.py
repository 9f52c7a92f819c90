"""The command line; each command is a file of its own, imported when it is called."""

from cyclopts import App

app = App(
    name="merkato",
    help="An event-driven commerce platform. Its data are in MERKATO_HOME (default: .merkato).",
    version_flags=["--version"],
    result_action="return_int_as_exit_code_else_zero",
)
for name, summary in {
    "up": "Start the shop, and stay until Ctrl-C or `merkato down`.",
    "down": "Stop the shop; its data stay.",
    "status": "Print what runs where, since when, how full, and whether it is well.",
    "logs": "Print the latest lines of the logs.",
    "seed": "Put the demo shop's goods into the running shop; a repeat is harmless.",
    "replay": "Play a file of real invoice lines into the running shop, as orders.",
    "audit": "Check every law over all databases; exit status 1 when one is broken.",
    "serve": "Run the services of a configuration file; what a container runs.",
    "prepare": "Make what the containers of deploy/compose.yaml need before they start.",
    "nginx": "Print a configuration of nginx for the door of a shop that runs as many processes.",
    "outside": "Run the stand-ins for a card processor and for mail; `up` does in development.",
}.items():
    app.command(f"merkato.cli.{name}:{name}", name=name, help=summary)
app.command(
    "merkato.cli.create_admin:create_admin",
    name="create-admin",
    help="Open an account as admin, or make the account of an address one.",
)
app.command(
    "merkato.cli.import_file:import_file",
    name="import",
    help="Import products from a CSV or JSON Lines file; a repeat changes nothing.",
)
app.command(
    "merkato.cli.dead_letters:app",
    name="dead-letters",
    help="List, retry or discard events that a service could not handle.",
)
