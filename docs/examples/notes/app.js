// Notes: each guest has a prefix of one bucket, and sees no other.
import { DeleteObjectCommand, GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from '@aws-sdk/client-s3';
import { RolecallDevice } from './rolecall.js';

const element = (id) => document.getElementById(id);
const say = (text, kind = 'status') => { element('status').textContent = text; element('status').className = kind; };

const config = await (await fetch('config.json')).json();
const device = new RolecallDevice({ url: config.broker, app: config.app });
const s3 = new S3Client({ region: config.region, endpoint: config.s3, forcePathStyle: true, credentials: device.credentials() });

async function list(prefix) {
  const found = await s3.send(new ListObjectsV2Command({ Bucket: config.bucket, Prefix: prefix }));
  return (found.Contents ?? []).map((o) => o.Key);
}

async function read(key) {
  const found = await s3.send(new GetObjectCommand({ Bucket: config.bucket, Key: key }));
  return found.Body.transformToString();
}

async function show() {
  const { identityId } = await device.identity();
  element('who').textContent = identityId;
  const rows = await Promise.all((await list(identityId + '/')).map(async (key) => {
    const row = document.createElement('li'), remove = document.createElement('button');
    row.append(Object.assign(document.createElement('span'), { textContent: await read(key) }), remove);
    Object.assign(remove, { textContent: 'Delete', type: 'button', onclick: () => change(() => s3.send(new DeleteObjectCommand({ Bucket: config.bucket, Key: key }))) });
    return row;
  }));
  element('notes').replaceChildren(...rows);
  say(rows.length ? `${rows.length} of your notes` : 'No notes yet. Write one.');
}

// change does something and shows what is there then.
async function change(work) {
  try {
    await work();
    await show();
  } catch (e) {
    say(e.message, 'problem');
  }
}

element('write').onsubmit = (event) => {
  event.preventDefault();
  const text = element('text').value.trim();
  if (!text) return;
  change(async () => {
    const { identityId } = await device.identity();
    const Key = `${identityId}/${new Date().toISOString().replace(/[^0-9]/g, '')}`;
    await s3.send(new PutObjectCommand({ Bucket: config.bucket, Key, Body: text }));
    element('text').value = '';
  });
};

Object.assign(globalThis, { notes: { device, list, read } }); // to play with in the console
await change(async () => {});
