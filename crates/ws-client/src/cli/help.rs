//! The texts of `--help`.

pub(super) const LONG_ABOUT: &str = "\
Logs in to a WebSocket server, sends each line as a message, and prints each message as a line.

At a terminal, it asks for the login, and prints messages above the line that is being typed. Enter \
exit, or press Ctrl-D, to leave.

In a pipe, the first lines are credentials (username:password), one login attempt each, until one \
succeeds. All further lines are messages. With --auth basic, only the first line is credentials; \
with --auth none, no line is.";

pub(super) const AFTER_HELP: &str = "\
Streams:
  stdout gets the messages after the login, each followed by a newline, and nothing else. In a pipe,
  binary messages are written as they came.
  stderr gets prompts, the server's texts about the login, and errors.
  At a terminal, the JSON of a room is shown as readable lines, with local times:
    16:40:05 jane: hello
    16:40:06 jane left
    12 messages were lost
  Further lines of a text are indented. In a pipe, messages are written unchanged.

Records:
  With --null, messages end with NUL in both directions. With --binary, stdin and stdout are streams
  of bytes: each read is one binary message, and nothing is written between messages. Only a login
  that is read from stdin is a line then. Both are for pipes, and have no word exit.

  With --json, stdout gets all events, each as a JSON object on a line:
    {\"event\":\"message\",\"text\":\"hello\"}
  With --json-input, each line behind the login is one of these objects:
    {\"send\":\"hello\"}  {\"send_base64\":\"AP8=\"}  {\"ping\":\"x\"}  {\"close\":1000,\"reason\":\"bye\"}

  --verbose shows the states of the connection on stderr, and --quiet no texts of the login there.
  --log appends the same events, and the messages that were sent, to a file. Texts of the login are
  not in it.

Login:
  --auth message sends username:password as the first message. After a refused login in a pipe, the
  next line is another attempt if it has the form name:password. Otherwise the client ends with
  exit code 3, and counts the lines that were not sent.
  --auth basic sends the credentials in the handshake (HTTP Basic). The open connection is the
  login, and no greeting is expected. A server that ignores Basic may open the connection as well,
  so use it only with servers that accept Basic. At a terminal, refused credentials (status 401) are
  asked for again. In a pipe, they end the client before another line is sent.
  --auth bearer sends the token of --bearer-file in the handshake (HTTP Bearer), as it is given. The
  open connection is the login. A refused token (status 401) ends the client with exit code 3.
  --auth none sends no credentials, for a server without a login. A server that requires a login by
  message treats each line as a login attempt.

  The password of --user comes from a file, from a command, from the first line of stdin, or from a
  prompt. It is never an argument. --password-command splits its text into words as a shell does, and
  expands nothing. Its first line of output is the password.

Header fields:
  -H 'Name: value' adds a field to the handshake, and -H @FILE one from each line of a file. Host
  replaces that of the URL. Fields that the client sets itself are refused. Authorization, Cookie,
  Proxy-Authorization and all fields of a file are secret, like a password.

End of a piped input:
  The client closes the connection when as many messages arrived as were sent, or when nothing
  arrived for --linger. With --auth basic, bearer or none it waits for --linger, except in a room,
  because a server may send a greeting.
  In a room that sends JSON, only the client's own messages count, and messages of other members do
  not extend --linger. Without a login, the client does not know its name there, and waits for the
  text that it sent last. Messages are printed until the server closes its side.
  An empty input is an error (exit code 2), because there is nothing to do.
  A line exit ends the input early: lines after it are counted, with exit code 2.
  --literal sends that line as a message.

Goals:
  -1 and --count N end the session when that number of messages arrived after the login, whether the
  input ended or not. Fewer messages are exit code 9. Lines that were not sent are counted on stderr.
  --linger forever stays after the end of the input until the server closes.
  --timeout limits the whole run. Before the goal is reached, it is exit code 7. With --linger forever
  alone, it is the end that was asked for (exit code 0).

Dead networks:
  After --ping-interval without a byte from the server, a ping is sent. If nothing arrives within
  --pong-timeout after it, the connection is lost (exit code 8).

Certificates:
  With a wss:// URL, the client checks the server's certificate before it sends anything else: the
  chain to a trusted root, the dates, and the host name or address of the URL. It trusts the root
  certificates of the system; SSL_CERT_FILE and SSL_CERT_DIR name others. --cacert trusts only those
  in its file, which may be the server's own self-signed certificate.

Configuration:
  Without --config, config/client.toml is read if it exists. The command line overrides the file,
  and the file overrides the defaults. A login and a cacert in the file are used for the url in the
  file only, never for another URL on the command line. config/client.toml must belong to the user,
  and may name files of its own folder only, and no
  password command.

Exit codes:
    0  success
    1  another failure, such as an output that cannot be written
    2  the arguments, the configuration or the input are invalid
    3  the login was refused, or the input ended before it succeeded
    4  no connection
    5  TLS failed, or the certificate is invalid
    6  the server refused the handshake, or answered it incorrectly
    7  the server did not answer in time, or --timeout was reached
    8  the connection was lost, or closed with an error
    9  fewer messages arrived than --count asks for
  130  interrupted by Ctrl-C or a signal

Examples:
  ws-client
  ws-client ws://127.0.0.1:5678
  ws-client wss://example.org/room/lobby
  ws-client --cacert authority.pem wss://127.0.0.1:5678
  printf 'admin:123456\\nhello\\n' | ws-client
  ws-client --user admin --password-file secret < messages.txt > answers.txt
  ws-client --auth basic --user admin --password-file secret ws://127.0.0.1:8080/live
  echo hello | ws-client -u admin --password-command 'pass show example' wss://example.org/
  ws-client --bearer-file token wss://example.org/live
  echo hello | ws-client -1 --auth none ws://127.0.0.1:8080
  ws-client --auth none -w forever -m 10 ws://127.0.0.1:8080/feed < /dev/null > messages.txt
  ssh -o ProxyCommand='ws-client -b -u jane --password-file pw wss://example.org/ssh' host
  ws-client --auth none ws://127.0.0.1:5678/room/lobby
  ws-client handshake ws://127.0.0.1:5678";

pub(super) const HANDSHAKE_HELP: &str = "\
Exit codes: 0 the handshake is valid, 4 no connection, 5 TLS failed, 6 the server refused or its
response is wrong, 7 no complete response in time.";
