"""Applies a fail2ban filter to log lines as entries of a systemd journal.

The argument is the filter file. Each line of stdin is an entry of the unit. Prints the addresses
that the filter finds, one per line.
"""

import sys
import time

from fail2ban.client.fail2banregex import Fail2banRegex, get_opt_parser

options, _ = get_opt_parser().parse_args(["--out", "ip"])
regex = Fail2banRegex(options)
if not regex.readRegex(sys.argv[1], "fail"):
    sys.exit("the filter cannot be read")
now = time.time()
regex.process(
    (("", "2030-01-01T00:00:00 ", "host ws-server[7]: " + line.rstrip("\n")), now)
    for line in sys.stdin
)
