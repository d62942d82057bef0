"""The command line: serve, models, keys, doctor, talk, specialist, new.

Heavy modules are imported by the commands that need them, so that `--help` is instant.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dotenv import load_dotenv
from loguru import logger

from runner import models_cli

TALK_PROTOCOLS = (
    *("webrtc", "websocket", "voice-agent", "sandwich", "realtime", "openai-realtime"),
)
"""Those of `runner.clients.dial`, which takes its time to import."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        argv: Arguments without the program's name; None for those of the process.

    Returns:
        The exit code: 0 if it went well, 1 if something is to be mended, 2 for wrong arguments.
    """
    args = _parser().parse_args(argv)
    load_dotenv(Path(".env"))
    # Pipecat greets in the log when it is imported.
    logger.remove()

    from bots.errors import ParlanteError

    try:
        code: int = args.run(args)
    except ParlanteError as error:
        print(error.message, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return code


def settings_overrides(args: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that the command line replaces; None where it says nothing."""
    return {
        "profile": args.profile,
        "default_bot": args.bot,
        "server": {"host": args.host, "port": args.port},
        "voice": {
            "realtime": {
                "transport": args.transport,
                "logging": {"level": "DEBUG" if args.verbose else None},
            }
        },
    }


def _parser() -> argparse.ArgumentParser:
    every = argparse.ArgumentParser(add_help=False)
    every.add_argument("--config", type=Path, metavar="FILE", help="settings (voice.yaml)")
    every.add_argument("--profile", metavar="NAME", help="service profile, e.g. offline")
    every.add_argument("--verbose", action="store_true", help="log in detail, with transcripts")
    common = argparse.ArgumentParser(add_help=False, parents=[every])
    common.add_argument("--bot", metavar="NAME", help="bot for clients that name none")
    common.add_argument("--host", help="address to listen on (127.0.0.1)")
    common.add_argument("--port", type=int, help="port to listen on (7860); 0 picks a free one")
    common.add_argument(
        "--transport",
        choices=["webrtc", "websocket", "daily", "livekit"],
        help="how clients connect that do not say so (webrtc)",
    )

    parser = argparse.ArgumentParser(
        prog="python -m runner",
        description="Voice bots for many callers. Without a command, the service is started.",
        parents=[common],
    )
    parser.add_argument("--reload", action="store_true", help="start again when a file changes")
    parser.set_defaults(run=_serve)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    models_cli.add_parser(commands).set_defaults(run=_models)

    keys = commands.add_parser("keys", help="make, list and revoke the keys that users need")
    actions = keys.add_subparsers(dest="action", required=True)
    storage = argparse.ArgumentParser(add_help=False)
    storage.add_argument("--config", type=Path, metavar="FILE", help="settings (voice.yaml)")
    add = actions.add_parser("add", parents=[storage], help="make a key, and show it once")
    add.add_argument("user", help="whose it is; a user may have several")
    add.add_argument("--operator", action="store_true", help="it opens everybody's sessions")
    actions.add_parser("list", parents=[storage], help="list the keys, without their secrets")
    revoke = actions.add_parser("revoke", parents=[storage], help="make a key good for nothing")
    revoke.add_argument("id", help="its name in the list")
    keys.set_defaults(run=_keys)

    doctor = commands.add_parser(
        "doctor", parents=[common], help="check keys, models, ports and say how to mend them"
    )
    doctor.set_defaults(run=_doctor)

    talk = commands.add_parser("talk", parents=[common], help="hold a conversation in the terminal")
    talk.add_argument(
        "--url", help="a running service, or a socket of it; without it, one is started"
    )
    talk.add_argument(
        "--protocol",
        choices=TALK_PROTOCOLS,
        default="webrtc",
        help="how to speak with it (webrtc); see docs/protocols.md",
    )
    talk.add_argument("--key", help="an API key of that service, where it is not open")
    talk.add_argument("--wav", type=Path, metavar="IN", help="say what is in this file")
    talk.add_argument("--out", type=Path, metavar="OUT", help="write the bot's voice to this file")
    talk.add_argument("--text", action="store_true", help="type instead of speaking")
    talk.add_argument("--relay-only", action="store_true", help="go by way of the TURN server")
    talk.set_defaults(run=_talk)

    specialist = commands.add_parser(
        "specialist", parents=[every], help="think for a bot of services elsewhere, over the bus"
    )
    specialist.add_argument("name", help="the bot, which those services have as `remote`")
    specialist.set_defaults(run=_specialist, bot=None, host=None, port=None, transport=None)

    new = commands.add_parser("new", help="write a bot or a processor that works, with its test")
    new.add_argument("what", choices=["bot", "processor"])
    new.add_argument("name", help="in small letters; becomes the name of its file")
    new.set_defaults(run=_new)
    return parser


def _serve(args: argparse.Namespace) -> int:
    from runner import server

    return server.serve(args.config, settings_overrides(args), reload=args.reload)


def _models(args: argparse.Namespace) -> int:
    if args.dir:
        # Whatever is wrong with the settings, they are not needed.
        return models_cli.run(args)
    from bots.settings import load_settings

    settings = load_settings(args.config, settings_overrides(args))
    return models_cli.run(args, default_dir=settings.models_dir)


def _keys(args: argparse.Namespace) -> int:
    from bots.settings import load_settings
    from runner import keys

    settings = load_settings(args.config)
    match args.action:
        case "add":
            return keys.add(settings, args.user, is_operator=args.operator)
        case "revoke":
            return keys.revoke(settings, args.id)
        case _:
            return keys.show(settings)


def _doctor(args: argparse.Namespace) -> int:
    from runner import doctor

    return doctor.examine(args.config, settings_overrides(args))


def _talk(args: argparse.Namespace) -> int:
    from runner import talk

    return talk.converse(
        args.config,
        settings_overrides(args),
        url=args.url,
        protocol=args.protocol,
        key=args.key,
        wav=args.wav,
        out=args.out,
        text=args.text,
        relay_only=args.relay_only,
    )


def _specialist(args: argparse.Namespace) -> int:
    from runner import specialist

    return specialist.serve(args.name, args.config, settings_overrides(args))


def _new(args: argparse.Namespace) -> int:
    from runner import new

    write = new.write_bot if args.what == "bot" else new.write_processor
    root = Path.cwd()
    for file in write(root, args.name):
        print(file.relative_to(root))
    if args.what == "bot":
        print(f"Try it: python -m runner talk --text --bot {args.name}")
    else:
        print("Its place is in bots/pipeline.py, where all bots are put together.")
    return 0
