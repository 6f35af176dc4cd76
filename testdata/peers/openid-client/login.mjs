// openid-client as the command line's stand-in: code + PKCE + nonce + state,
// once with bearer tokens and once with DPoP, then a protected call, a refresh,
// a spent refresh token, and revocation. One line of JSON on stdout.
//
//   node login.mjs ISSUER API_URL
import * as oc from 'openid-client';

const [issuer, api] = process.argv.slice(2);
const redirect_uri = 'http://127.0.0.1:49152/callback';

// A browser without scripts: cookies, redirects, and the consent form.
async function browse(url) {
  const jar = new Map();
  let request = { url: url.href, method: 'GET' };
  for (let hop = 0; hop < 12; hop++) {
    const answer = await fetch(request.url, {
      method: request.method, body: request.body, redirect: 'manual',
      headers: { cookie: [...jar].map(([k, v]) => `${k}=${v}`).join('; ') },
    });
    for (const line of answer.headers.getSetCookie()) {
      const [, name, value] = /^([^=]+)=([^;]*)/.exec(line);
      jar.set(name, value);
    }
    const to = answer.headers.get('location');
    if (to?.startsWith(redirect_uri)) return new URL(to);
    if (to) { request = { url: new URL(to, request.url).href, method: 'GET' }; continue; }
    const page = await answer.text();
    if (answer.status !== 200) throw new Error(`${request.url} answered ${answer.status}: ${page}`);
    const body = new URLSearchParams({ decision: 'approve' });
    for (const [, name, value] of page.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)) {
      body.append(name, value.replaceAll('&#43;', '+').replaceAll('&#34;', '"').replaceAll('&amp;', '&'));
    }
    request = { url: new URL('/oauth2/authorize', request.url).href, method: 'POST', body };
  }
  throw new Error('too many redirects');
}

async function login(config, DPoP) {
  const pkceCodeVerifier = oc.randomPKCECodeVerifier(), expectedState = oc.randomState(), expectedNonce = oc.randomNonce();
  const parameters = {
    redirect_uri, scope: 'openid offline_access', state: expectedState, nonce: expectedNonce,
    code_challenge: await oc.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256',
  };
  if (DPoP) parameters.dpop_jkt = await DPoP.calculateThumbprint();
  const back = await browse(oc.buildAuthorizationUrl(config, parameters));
  const tokens = await oc.authorizationCodeGrant(config, back,
    { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true }, undefined, { DPoP });
  const refreshed = await oc.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP });
  const call = await oc.fetchProtectedResource(config, refreshed.access_token, new URL(api), 'GET', undefined, undefined, { DPoP });
  const spent = await oc.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP }).then(() => 'accepted', e => e.error);
  const dead = await oc.fetchProtectedResource(config, refreshed.access_token, new URL(api), 'GET', undefined, undefined, { DPoP })
    .then(r => r.status, e => e.cause?.[0]?.scheme ? 401 : e.message);
  return {
    type: tokens.token_type, claims: tokens.claims(), refreshed: refreshed.token_type, identity: await call.json(), spent, dead,
  };
}

const config = await oc.discovery(new URL(issuer), 'rolecall-cli', undefined, oc.None(), { execute: [oc.allowInsecureRequests] });
const bearer = await login(config);
const bound = await login(config, oc.getDPoPHandle(config, await oc.randomDPoPKeyPair('ES256')));
const rsa = await login(config, oc.getDPoPHandle(config, await oc.randomDPoPKeyPair('RS256')));
await oc.tokenRevocation(config, 'not-a-token');
console.log(JSON.stringify({ bearer, bound, rsa }));
