"""Has the filter of fail2ban look at log lines as they come from a systemd journal.

Called with the filter's file. Each line of stdin is an entry that the unit has written. Prints the
addresses that the filter finds, one a line.
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
