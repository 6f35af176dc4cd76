// openid-client as a program on another machine: device authorization (RFC 8628),
// with the tokens bound to a DPoP key. The first line of JSON on stdout is what a
// person is told; the second, once they have answered, what came of it.
//
//   node device.mjs ISSUER API_URL
import * as oc from 'openid-client';

const [issuer, api] = process.argv.slice(2);
const config = await oc.discovery(new URL(issuer), 'rolecall-cli', undefined, oc.None(), { execute: [oc.allowInsecureRequests] });
const keys = await oc.randomDPoPKeyPair('ES256');
const DPoP = oc.getDPoPHandle(config, keys);
const asked = await oc.initiateDeviceAuthorization(config, { scope: 'openid offline_access' });
console.log(JSON.stringify({ user_code: asked.user_code, complete: asked.verification_uri_complete }));
try {
  const tokens = await oc.pollDeviceAuthorizationGrant(config, asked, undefined, { DPoP });
  const call = token => oc.fetchProtectedResource(config, token, new URL(api), 'GET', undefined, undefined, { DPoP });
  const refreshed = await oc.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP });
  const stolen = await fetch(api, { headers: { authorization: `Bearer ${refreshed.access_token}` } });
  const other = oc.getDPoPHandle(config, await oc.randomDPoPKeyPair('ES256'));
  const foreign = await oc.refreshTokenGrant(config, refreshed.refresh_token, undefined, { DPoP: other }).then(() => 'accepted', e => e.error);
  console.log(JSON.stringify({
    type: tokens.token_type, sub: tokens.claims().sub, refreshed: refreshed.token_type, identity: await (await call(refreshed.access_token)).json(),
    stolen: stolen.status, foreign,
  }));
} catch (e) {
  console.log(JSON.stringify({ error: e.error ?? String(e) }));
}
