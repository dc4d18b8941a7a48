"""The walkthrough's Flask app without Flask: port 80 says hello with the host name, and writes each visit down."""

import http.server
import os
import socket
import time

COLOURS = {200: 32, 404: 33, 500: 31}
STATUSES = {"/favicon.ico": 404, "/boom": 500}


class Page(http.server.BaseHTTPRequestHandler):
    visits = 0

    def do_GET(self) -> None:
        began = time.perf_counter()
        Page.visits += 1
        with open("visits.log", "a") as file:
            file.write(f"{time.time():.0f} {self.path}\n")
        status = STATUSES.get(self.path, 200)
        self.send_response(status)
        self.end_headers()
        self.wfile.write(f"<h3>Hello {os.environ['NAME']}!</h3>{socket.gethostname()}, visit {Page.visits}\n".encode())
        took = 1000 * (time.perf_counter() - began)
        shown = f"\x1b[{COLOURS[status]}m{status}\x1b[0m"
        print(f"{time.strftime('%H:%M:%S')}  \x1b[1mGET\x1b[0m {self.path:<14}{shown}{took:8.2f} ms", flush=True)

    def log_message(self, format: str, *words: object) -> None:
        pass


print(f"helloworld serves port 80 as {socket.gethostname()}", flush=True)
http.server.HTTPServer(("", 80), Page).serve_forever()
