"""``completion``: prints or installs shell completion."""

from __future__ import annotations

from pathlib import Path

import click
from click.shell_completion import BashComplete, FishComplete, ShellComplete, ZshComplete

#: Where each shell looks for a user's completions, in the home folder.
PLACES = {
    "bash": ".local/share/bash-completion/completions/change-hooks",
    "zsh": ".zfunc/_change-hooks",
    "fish": ".config/fish/completions/change-hooks.fish",
}

CLASSES: dict[str, type[ShellComplete]] = {"bash": BashComplete, "zsh": ZshComplete, "fish": FishComplete}


@click.command()
@click.argument("shell", type=click.Choice(list(PLACES)))
@click.option("--install", is_flag=True, help="Install it in your home folder, where the shell looks for it.")
@click.pass_context
def completion(ctx: click.Context, shell: str, install: bool) -> None:
    """Print the shell code that completes commands and options.

    zsh looks into ~/.zfunc only with 'fpath+=~/.zfunc' before 'compinit' in ~/.zshrc.
    """
    source = CLASSES[shell](ctx.find_root().command, {}, "change-hooks", "_CHANGE_HOOKS_COMPLETE").source()
    if not install:
        click.echo(source)
        return
    path = Path.home() / PLACES[shell]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from None
    click.echo(f"wrote {path}; it takes effect in the next shell")


__all__ = ["PLACES", "completion"]
