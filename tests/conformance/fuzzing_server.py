"""Autobahn's fuzzingserver, on a free port of the loopback interface.

The original listens on all interfaces. For Python 2.7, like the testsuite. Usage:
fuzzing_server.py SPECIFICATION. Prints the URL as the only line on stdout.
"""

import json
import sys

from autobahn.twisted.websocket import listenWS
from autobahntestsuite.fuzzing import FuzzingServerFactory
from twisted.internet import reactor

with open(sys.argv[1]) as specification:
    specification = json.load(specification)

# The testsuite prints its progress on stdout.
stdout, sys.stdout = sys.stdout, sys.stderr
factory = FuzzingServerFactory(dict(specification, url=u"ws://127.0.0.1:0"))
address = listenWS(factory, interface="127.0.0.1").getHost()
stdout.write("ws://%s:%d\n" % (address.host, address.port))
stdout.flush()
reactor.run()
