"""`python -m demail_gateway` is `demail-gateway`."""

from demail_gateway.cli import main

if __name__ == "__main__":
    main()
