"""What runs in a process of its own beside a benchmark, so that the two do not wait for each other."""

import statistics
import time
from multiprocessing.connection import Connection as Pipe

from local.proxy import proxy
from program_enrollments import connect


def delaying_line(pipe: Pipe, host: str, port: int, delay: float) -> None:
    """Be a line to a server with a delay each way: send the libpq variables that lead over it, until asked to stop."""
    with proxy(host, port, delay) as running:
        pipe.send(running.environment)
        pipe.recv()


def count_rows(pipe: Pipe) -> None:
    """Count rows over and over until asked to stop; send the median milliseconds of a count."""
    spent = []
    with connect() as connection:
        pipe.send("ready")
        while not pipe.poll():
            started = time.perf_counter()
            connection.run("SELECT count(*) FROM program_enrollments_programenrollment")
            spent.append(time.perf_counter() - started)
    pipe.send(statistics.median(spent) * 1000)
