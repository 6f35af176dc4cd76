// Serves the example on loopback. The origin must be one of the app's `origins` in
// the broker's configuration; `rolecalld dev` has this one.
//
//   node serve.mjs [--broker URL] [--s3 URL] [--port N]
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';

const { values } = parseArgs({ options: {
  broker: { type: 'string', default: 'http://127.0.0.1:8400' },
  s3: { type: 'string', default: 'http://127.0.0.1:8401/s3' },
  port: { type: 'string', default: '8480' },
} });
const config = { broker: values.broker, app: 'notes', region: 'eu-west-1', s3: values.s3, bucket: 'notes-data' };
const kinds = { '/index.html': 'text/html', '/app.bundle.js': 'text/javascript' };

createServer(async (request, response) => {
  const path = request.url === '/' ? '/index.html' : request.url;
  if (path === '/config.json') return response.setHeader('content-type', 'application/json').end(JSON.stringify(config));
  if (!kinds[path]) return response.writeHead(404).end();
  response.setHeader('content-type', kinds[path]).end(await readFile(new URL('.' + path, import.meta.url)));
}).listen(Number(values.port), '127.0.0.1', () => console.log(`http://127.0.0.1:${values.port}/`));
