"""SIGTERM: not ready at once, connections for a while, then the end."""

import asyncio
import signal

import uvicorn

from app.server.process import GracefulServer, StartupApp


def serving(seconds: float) -> GracefulServer:
    server = GracefulServer(uvicorn.Config(StartupApp()), seconds=seconds)
    server._loop = asyncio.get_running_loop()
    return server


def test_sigterm_first_reports_not_ready_and_stops_after_a_while() -> None:
    async def stop() -> None:
        server, reports = serving(0.05), list[str]()
        server.report_not_ready = lambda: reports.append("not ready")
        server.handle_exit(signal.SIGTERM, None)
        assert (reports, server.should_exit) == (["not ready"], False)
        async with asyncio.timeout(10):
            while not server.should_exit:
                await asyncio.sleep(0.01)
        assert reports == ["not ready"]

    asyncio.run(stop())


def test_a_second_signal_stops_at_once() -> None:
    async def stop() -> None:
        server = serving(3600)
        server.report_not_ready = lambda: None
        server.handle_exit(signal.SIGTERM, None)
        assert not server.should_exit
        server.handle_exit(signal.SIGTERM, None)
        assert server.should_exit

    asyncio.run(stop())


def test_before_the_service_is_ready_the_first_signal_stops_at_once() -> None:
    async def stop() -> None:
        server = serving(3600)
        server.handle_exit(signal.SIGTERM, None)
        assert server.should_exit

    asyncio.run(stop())
