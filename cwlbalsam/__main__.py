"""`python -m cwlbalsam`."""

from cwlbalsam.cli.main import main

if __name__ == "__main__":
    main()
