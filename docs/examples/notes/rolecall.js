// Credentials for the AWS SDK for JavaScript v3 from a rolecall broker, in a browser
// or in Node.js 20 and newer. It needs nothing but this file: copy it.
//
//   const device = new RolecallDevice({ url: 'https://sso.example.com', app: 'notes' });
//   const s3 = new S3Client({ region: 'eu-west-1', credentials: device.credentials() });
//
// The device makes a P-256 key that cannot be exported, registers it once, and shows
// that it holds the key with each request (DPoP, RFC 9449). Nothing secret is sent up.

/** What the broker refused: code is the member `error` of its answer. */
export class RolecallError extends Error {
  constructor(status, { error, error_description, request_id } = {}) {
    super(`${error_description ?? 'the broker answered ' + status} (${error ?? status}, request ${request_id ?? 'unknown'})`);
    Object.assign(this, { name: 'RolecallError', status, code: error, requestId: request_id });
  }
}

const renewAhead = 30_000; // ms before the end of an access token

export class RolecallDevice {
  #url; #app; #store; #nonce; #state; #queue = Promise.resolve();

  /**
   * url is the broker's address, app its name there. store keeps the device between
   * visits: { get(): Promise<any>, set(value): Promise<void> } of values that hold
   * CryptoKeys; by default IndexedDB where there is one, else this object's memory.
   */
  constructor({ url, app, store }) {
    this.#url = url.replace(/\/+$/, '');
    this.#app = app;
    this.#store = store ?? (globalThis.indexedDB ? new IndexedDBStore(`rolecall ${this.#url} ${app}`) : new MemoryStore());
  }

  /** A credential provider of the AWS SDK; role may be left out where the app has one. */
  credentials({ role, duration } = {}) {
    return async () => {
      const got = await this.call('POST', '/tvm/v1/credentials', { role, duration });
      return {
        accessKeyId: got.AccessKeyId, secretAccessKey: got.SecretAccessKey, sessionToken: got.SessionToken,
        expiration: new Date(got.Expiration), accountId: got.AccountId,
      };
    };
  }

  /** { deviceId, identityId, guest, loggedIn }; registers the device where that is new. */
  async identity() {
    const s = await this.#session();
    return { deviceId: s.device_id, identityId: s.identity_id, guest: s.guest, loggedIn: s.logged_in };
  }

  /** Somebody logs in on this device: { email, password } or { provider, token }. */
  async login(evidence) {
    return this.#alone(async () => {
      const session = await this.#fresh();
      return this.#keep(await this.#send('POST', '/tvm/v1/login', { json: evidence, token: session.access_token }));
    });
  }

  /** The device ends: its tokens at once, its key is forgotten. */
  async forget() {
    const { deviceId } = await this.identity();
    await this.call('DELETE', `/tvm/v1/devices/${encodeURIComponent(deviceId)}`);
    this.#state = undefined;
    await this.#store.set(undefined);
  }

  /** Any call of the API, with a good token: GET /tvm/v1/openapi.json lists them. */
  async call(method, path, json) {
    const session = await this.#session();
    try {
      return await this.#send(method, path, { json, token: session.access_token });
    } catch (e) {
      if (e.status !== 401 || e.code !== 'unauthenticated') throw e;
      // The token ended before its time: revoked, or used up by another page.
      const next = await this.#alone(() => this.#renew(session.access_token));
      return this.#send(method, path, { json, token: next.access_token });
    }
  }

  #session() { return this.#alone(() => this.#fresh()); }

  async #fresh() {
    this.#state = await this.#store.get();
    if (!this.#state) {
      const key = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign', 'verify']);
      this.#state = { key };
      await this.#store.set(this.#state); // before the broker knows it: a lost answer is asked for again
    }
    if (!this.#state.access_token) return this.#register();
    if (Date.now() > this.#state.ends - renewAhead) return this.#renew(this.#state.access_token);
    return this.#state;
  }

  async #renew(old) {
    this.#state = await this.#store.get() ?? this.#state;
    if (this.#state.access_token !== old) return this.#state; // another page has done it
    const form = { grant_type: 'refresh_token', refresh_token: this.#state.refresh_token, client_id: this.#app };
    try {
      return await this.#keep(await this.#send('POST', '/oauth2/token', { form }));
    } catch (e) {
      if (e.code !== 'invalid_grant') throw e;
      return this.#register(); // the same key is the same device
    }
  }

  async #register() { return this.#keep(await this.#send('POST', '/tvm/v1/devices', { json: { app: this.#app } })); }

  async #keep(answer) {
    this.#state = { ...this.#state, ...answer, ends: Date.now() + answer.expires_in * 1000 };
    await this.#store.set(this.#state);
    return this.#state;
  }

  // One renewal at a time, over all pages of the app where the browser has locks.
  #alone(work) {
    const locks = globalThis.navigator?.locks;
    if (locks) return locks.request(`rolecall ${this.#url} ${this.#app}`, work);
    return this.#queue = this.#queue.catch(() => {}).then(work);
  }

  async #send(method, path, { json, form, token }) {
    for (let attempt = 1; ; attempt++) {
      const headers = { DPoP: await this.#proof(method, this.#url + path, token) };
      if (token) headers.Authorization = `DPoP ${token}`;
      if (json) headers['Content-Type'] = 'application/json';
      const body = json ? JSON.stringify(json) : form ? new URLSearchParams(form) : undefined;
      const answer = await fetch(this.#url + path, { method, headers, body, credentials: 'omit', cache: 'no-store' });
      this.#nonce = answer.headers.get('DPoP-Nonce') ?? this.#nonce;
      if (answer.ok) return answer.status === 204 ? undefined : answer.json();
      const problem = await answer.json().catch(() => ({}));
      const challenge = answer.headers.get('WWW-Authenticate') ?? '';
      const wantsNonce = problem.error === 'use_dpop_nonce' || challenge.includes('error="use_dpop_nonce"');
      if (!wantsNonce || attempt > 1) throw new RolecallError(answer.status, problem);
    }
  }

  async #proof(method, htu, token) {
    const { privateKey, publicKey } = this.#state.key;
    const { kty, crv, x, y } = await crypto.subtle.exportKey('jwk', publicKey);
    const header = { typ: 'dpop+jwt', alg: 'ES256', jwk: { kty, crv, x, y } };
    const claims = { jti: crypto.randomUUID(), htm: method, htu, iat: Math.floor(Date.now() / 1000), nonce: this.#nonce };
    if (token) claims.ath = base64url(await crypto.subtle.digest('SHA-256', utf8(token)));
    const signed = `${base64url(utf8(JSON.stringify(header)))}.${base64url(utf8(JSON.stringify(claims)))}`;
    return `${signed}.${base64url(await crypto.subtle.sign({ name: 'ECDSA', hash: 'SHA-256' }, privateKey, utf8(signed)))}`;
  }
}

const utf8 = (text) => new TextEncoder().encode(text);
const base64url = (bytes) =>
  btoa(String.fromCharCode(...new Uint8Array(bytes))).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');

class MemoryStore {
  #value;
  async get() { return this.#value; }
  async set(value) { this.#value = value; }
}

// IndexedDB holds a CryptoKey as it is: no script can read the private key.
class IndexedDBStore {
  #name;
  constructor(name) { this.#name = name; }
  get() { return this.#run('readonly', (s) => s.get('device')); }
  set(value) { return this.#run('readwrite', (s) => (value === undefined ? s.delete('device') : s.put(value, 'device'))); }

  #run(mode, work) {
    return new Promise((resolve, reject) => {
      const opening = indexedDB.open(this.#name, 1);
      opening.onupgradeneeded = () => opening.result.createObjectStore('state');
      opening.onerror = () => reject(opening.error);
      opening.onsuccess = () => {
        const db = opening.result, transaction = db.transaction('state', mode);
        const request = work(transaction.objectStore('state'));
        transaction.oncomplete = () => { db.close(); resolve(request.result); };
        transaction.onabort = transaction.onerror = () => { db.close(); reject(transaction.error); };
      };
    });
  }
}
