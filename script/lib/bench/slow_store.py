"""A proxy in front of an object store that delays every response, like a remote store."""

import argparse
import asyncio


async def forward(reader, writer, before_sending):
    try:
        while data := await reader.read(1 << 16):
            await before_sending()
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--store", type=int, required=True, help="port of the object store")
    parser.add_argument("--milliseconds", type=float, required=True, help="from a request to its response")
    chosen = parser.parse_args()

    async def serve(reader, writer):
        store_reader, store_writer = await asyncio.open_connection("127.0.0.1", chosen.store)
        is_waiting = False

        async def request():
            nonlocal is_waiting
            is_waiting = True

        async def response():
            nonlocal is_waiting
            if is_waiting:
                is_waiting = False
                await asyncio.sleep(chosen.milliseconds / 1000)

        await asyncio.gather(
            forward(reader, store_writer, request), forward(store_reader, writer, response), return_exceptions=True
        )

    server = await asyncio.start_server(serve, "127.0.0.1", chosen.port)
    async with server:
        await server.serve_forever()


asyncio.run(main())
