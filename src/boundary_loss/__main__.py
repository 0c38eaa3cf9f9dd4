"""What can be asked of the package itself: ``python -m boundary_loss doctor``."""

if __name__ == "__main__":
    from boundary_loss import loading

    loading.begin()

import sys

from boundary_loss import command, doctor


def main() -> None:
    parser = command.parser("Answer a question about the package. Studies are driven by make.")
    parser.add_argument("question", choices=["doctor"], help="doctor: what is installed, what will be slow and why")
    parser.parse_args()
    sys.exit(doctor.main())


if __name__ == "__main__":
    command.run(main)
