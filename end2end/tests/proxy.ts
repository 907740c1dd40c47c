// A server between the browser and Batchline's, for what only happens on bad connections.

import { Agent, createServer, request, type IncomingMessage } from 'node:http';
import { connect, type AddressInfo } from 'node:net';

// Requests are forwarded after `before`, unless the browser has aborted them. Their responses are forwarded if `after`
// returns true; otherwise the connection is closed without one.
export async function proxy(
  target: string,
  {
    before = async () => {},
    after = () => true,
  }: { before?: (asked: IncomingMessage) => Promise<void>; after?: (asked: IncomingMessage) => boolean },
) {
  const agent = new Agent();
  const server = createServer(async (asked, answer) => {
    await before(asked);
    if (answer.closed) return;
    const { method, headers } = asked;
    const forwarded = request(new URL(asked.url!, target), { method, headers, agent }, (answered) => {
      if (!after(asked)) return answer.destroy();
      answer.writeHead(answered.statusCode!, answered.rawHeaders);
      answered.pipe(answer);
    });
    forwarded.on('error', () => answer.destroy());
    asked.pipe(forwarded);
  });
  server.on('upgrade', ({ url, rawHeaders }, browser, head) => {
    const { hostname, port } = new URL(target);
    const upstream = connect(Number(port), hostname);
    const headers = rawHeaders.map((text, at) => text + (at % 2 ? '\r\n' : ': ')).join('');
    upstream.write(`GET ${url} HTTP/1.1\r\n${headers}\r\n`);
    upstream.write(head);
    upstream.pipe(browser).pipe(upstream);
    for (const [one, other] of [
      [browser, upstream],
      [upstream, browser],
    ])
      one.on('error', () => other.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    // The same page by way of the proxy.
    through: (url: string) => Object.assign(new URL(url), { host: `127.0.0.1:${port}` }).href,
    close: () => server.close(),
  };
}
