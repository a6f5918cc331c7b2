import threading

from app.store.index.code_index import ReadWriteLock

SECONDS = 10  # that a thread may take on a busy machine


def test_readers_hold_it_together() -> None:
    lock, both = ReadWriteLock(), threading.Barrier(2, timeout=SECONDS)

    def read() -> None:
        with lock.read():
            both.wait()  # passes only while the other holds it too

    readers = [threading.Thread(target=read) for _ in range(2)]
    for reader in readers:
        reader.start()
    for reader in readers:
        reader.join(SECONDS)
    assert not both.broken


def test_no_one_sees_what_a_writer_has_half_done() -> None:
    lock, pair, seen = ReadWriteLock(), [0, 0], set()

    def write() -> None:
        for _ in range(299):
            with lock.write():
                pair[0] += 1
                assert pair[1] == pair[0] - 1
                pair[1] += 1

    def read() -> None:
        for _ in range(300):
            with lock.read():
                seen.add(pair[0] - pair[1])

    threads = [threading.Thread(target=own) for own in (write, read, write, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    assert pair == [598, 598]
    assert seen == {0}


def test_a_waiting_writer_goes_before_later_readers() -> None:
    lock, order = ReadWriteLock(), list[str]()
    reading, release = threading.Event(), threading.Event()

    def first() -> None:
        with lock.read():
            reading.set()
            release.wait(SECONDS)

    def write() -> None:
        with lock.write():
            order.append("writer")

    def later() -> None:
        with lock.read():
            order.append("reader")

    threads = [threading.Thread(target=first), threading.Thread(target=write)]
    threads[0].start()
    reading.wait(SECONDS)
    threads[1].start()
    while not lock._writers_waiting:
        threading.Event().wait(0.001)
    threads.append(threading.Thread(target=later))
    threads[2].start()
    release.set()
    for thread in threads:
        thread.join(SECONDS)
    assert order == ["writer", "reader"]
