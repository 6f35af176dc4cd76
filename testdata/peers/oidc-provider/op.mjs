// oidc-provider as an OpenID provider for tests: people alice, bob and carol with
// the password NAME-pw; clients broker-{rs256,es256,ps256,eddsa} with the secret
// broker-secret, by the algorithm of their ID tokens, broker-other, and broker-public without one;
// broker-par must push its requests, broker-key proves itself by the key CLIENT_JWK.
// ROLECALL is whose clients they are: after a logout people go back to its
// /oidc/CLIENT/logout, and logout tokens are posted to /oidc/CLIENT/backchannel-logout.
// Claims of scopes are at the userinfo endpoint only (OpenID Connect Core 5.4).
//   POST /test/rotate   new signing keys; the old ones are published no longer
//   GET  /test/events   what the provider says of its protocol, by name
import crypto from 'node:crypto';
import http from 'node:http';
import { Provider } from 'oidc-provider';

const { PORT, REDIRECTS = '', ROLECALL = '', CLIENT_JWK = '' } = process.env;
const issuer = `http://127.0.0.1:${PORT}`;
const people = {
  alice: { name: 'Alice Ångström', email: 'alice@example.org', email_verified: true, groups: ['aws-admins', 'developers', 'Team, "Quoted" & Co', 'Führung'] },
  bob: { name: 'Bob', email: 'bob@example.org', email_verified: false, groups: ['developers'] },
  carol: { name: 'Carol', email: 'carol@example.org', email_verified: true },
};
const key = (type, options, alg) => ({
  ...crypto.generateKeyPairSync(type, options).privateKey.export({ format: 'jwk' }),
  use: 'sig', kid: crypto.randomBytes(6).toString('hex'), ...(alg && { alg }),
});
const keys = () => [key('rsa', { modulusLength: 2048 }), key('ec', { namedCurve: 'P-256' }, 'ES256'), key('ed25519')];
const common = { grant_types: ['authorization_code'], response_types: ['code'], redirect_uris: REDIRECTS.split(',') };
const client = (client_id, more) => ({
  ...common, client_id, ...more,
  ...(ROLECALL && {
    post_logout_redirect_uris: [`${ROLECALL}/oidc/${client_id}/logout`],
    backchannel_logout_uri: `${ROLECALL}/oidc/${client_id}/backchannel-logout`, backchannel_logout_session_required: true,
  }),
});
const signedBy = (alg) => client(`broker-${alg.toLowerCase()}`, { client_secret: 'broker-secret', id_token_signed_response_alg: alg });
const events = [];
const kept = new Map();

class Adapter { // outlives a provider: new keys end no session
  constructor(name) { this.name = name; }
  key(id) { return `${this.name}:${id}`; }
  async upsert(id, payload) { kept.set(this.key(id), payload); }
  async find(id) { return kept.get(this.key(id)); }
  async findByUid(uid) { return [...kept].find(([k, v]) => k.startsWith(this.name + ':') && v.uid === uid)?.[1]; }
  async findByUserCode() { return undefined; }
  async consume(id) { kept.get(this.key(id)).consumed = Math.floor(Date.now() / 1000); }
  async destroy(id) { kept.delete(this.key(id)); }
  async revokeByGrantId(id) { for (const [k, v] of kept) if (v.grantId === id) kept.delete(k); }
}

function make() {
  const provider = new Provider(issuer, {
    clients: [
      ...['RS256', 'ES256', 'PS256', 'EdDSA'].map(signedBy),
      client('broker-other', { client_secret: 'broker-secret', id_token_signed_response_alg: 'RS256' }),
      client('broker-public', { token_endpoint_auth_method: 'none' }),
      client('broker-par', { client_secret: 'broker-secret', require_pushed_authorization_requests: true }),
      ...(CLIENT_JWK ? [client('broker-key', { token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: 'ES256', jwks: { keys: [JSON.parse(CLIENT_JWK)] } })] : []),
    ],
    adapter: Adapter,
    jwks: { keys: keys() },
    cookies: { keys: ['for tests only'] },
    scopes: ['openid', 'profile', 'email', 'groups'],
    claims: { openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'], groups: ['groups'], acr: null, amr: null, auth_time: null, sid: null },
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'ES256', 'PS256', 'EdDSA'] },
    pkce: { required: () => true },
    ttl: { AccessToken: 600, AuthorizationCode: 60, Grant: 600, IdToken: 600, Interaction: 600, Session: 600 },
    features: {
      devInteractions: { enabled: false }, pushedAuthorizationRequests: { enabled: true },
      rpInitiatedLogout: { enabled: true, logoutSource: (ctx, form) => {
        ctx.body = `<!doctype html><title>Sign out</title>${form.replace('</form>', '<button name="logout" value="yes">Sign out</button></form>')}`;
      } },
      backchannelLogout: { enabled: true },
    },
    fetch: (url, { dispatcher, ...options }) => globalThis.fetch(url, options), // its own refuses loopback addresses
    interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
    findAccount: (_, id) => people[id] && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
    async loadExistingGrant(ctx) { // everybody has consented
      const grant = new provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
      grant.addOIDCScope('openid profile email groups');
      await grant.save();
      return grant;
    },
  });
  for (const name of ['pushed_authorization_request.success', 'grant.success', 'end_session.success', 'backchannel.success', 'backchannel.error', 'authorization.error', 'grant.error', 'server_error']) {
    provider.on(name, (_, error) => {
      events.push(name);
      if (error instanceof Error) console.error(name, error.message, error.error_description ?? '', error.error_detail ?? '');
    });
  }
  return provider;
}
let provider = make();
let serve = provider.callback();

async function interaction(req, res) {
  const { prompt } = await provider.interactionDetails(req, res);
  if (prompt.name !== 'login') return provider.interactionFinished(req, res, { consent: {} }, { mergeWithLastSubmission: true });
  if (req.method === 'POST') {
    let body = '';
    for await (const chunk of req) body += chunk;
    const form = new URLSearchParams(body), name = form.get('username');
    if (people[name] && form.get('password') === `${name}-pw`) {
      return provider.interactionFinished(req, res, { login: { accountId: name, amr: ['pwd'] } });
    }
  }
  res.writeHead(200, { 'content-type': 'text/html; charset=utf-8' });
  res.end('<!doctype html><title>Sign in</title><form method="post"><input name="username"><input name="password" type="password"><button>Sign in</button></form>');
}

http.createServer(async (req, res) => {
  try {
    if (req.method === 'POST' && req.url === '/test/rotate') {
      provider = make();
      serve = provider.callback();
      return res.end('ok');
    }
    if (req.url === '/test/events') return res.end(JSON.stringify(events));
    if (req.method === 'POST' && req.url === '/session/end') {
      // oidc-provider takes a form here only with cookies that need https
      let body = '';
      for await (const chunk of req) body += chunk;
      [req.method, req.url] = ['GET', `/session/end?${body}`];
    }
    if (req.url.startsWith('/interaction/')) return await interaction(req, res);
    return serve(req, res);
  } catch (error) {
    console.error(error);
    res.writeHead(500);
    return res.end(String(error.message));
  }
}).listen(Number(PORT), '127.0.0.1');
