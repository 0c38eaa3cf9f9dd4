"""nnU-Net's trainers and results: python -m boundary_loss.integrations.nnunet

Without a command it prints the line for a shell that tells nnU-Net where our trainers are, and their names as comments:

    eval "$(python -m boundary_loss.integrations.nnunet)"
"""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

from boundary_loss import command
from boundary_loss.integrations.nnunet.catalogue import export_line, trainers


def show_trainers() -> None:
    """Print the line that points nnU-Net to the trainers, and what each of them does."""
    width = max(len(name) for name, _ in trainers())
    print(export_line())
    print("\n".join(f"# {name:{width}}  {what}" for name, what in trainers()))


def main() -> None:
    command.parser("Print the line that points nnU-Net to our trainers, and their names.").parse_args()
    show_trainers()


if __name__ == "__main__":
    command.run(main)
