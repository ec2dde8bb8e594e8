"""What benchmarks seal is a header as the guideline has it."""

from benchmarks import crypto
from demail_gateway.core.header import read_header
from demail_gateway.core.recipients import parse_recipients


def test_benchmarks_name_recipients_by_the_grammar() -> None:
    """TR 01201-3.4 §3.1.8."""
    value = read_header(crypto._HEADER).value("x-de-mail-chosen-recipient")
    lists, codes = parse_recipients(value or "")
    assert ([str(mailbox.address) for mailbox in lists.to], codes) == (["erika.mustermann@buerger.de-mail.de"], ())
