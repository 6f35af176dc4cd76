/* rolecall portal, by itself: a passkey signs in. The options stand in the page and the answer leaves by its form, so
   that no request is made from here. */
(() => {
  'use strict';
  const bytes = (text) => Uint8Array.from(atob(text.replace(/-/g, '+').replace(/_/g, '/')), (c) => c.charCodeAt(0));
  const text = (buffer) => btoa(String.fromCharCode(...new Uint8Array(buffer))).replace(/\+/g, '-').replace(/\//g, '_').replace(/=+$/, '');

  document.addEventListener('submit', async (event) => {
    const form = event.target.closest('form[data-passkey]');
    if (!form || form.elements.credential.value) return;
    event.preventDefault();
    const fault = form.querySelector('[data-passkey-fault]');
    fault.hidden = true;
    try {
      const options = JSON.parse(form.dataset.passkey).publicKey;
      options.challenge = bytes(options.challenge);
      const got = await navigator.credentials.get({ publicKey: options }), said = got.response;
      form.elements.credential.value = JSON.stringify({
        id: got.id, rawId: text(got.rawId), type: got.type, clientExtensionResults: {},
        response: {
          clientDataJSON: text(said.clientDataJSON), authenticatorData: text(said.authenticatorData),
          signature: text(said.signature), userHandle: said.userHandle && text(said.userHandle),
        },
      });
      form.submit();
    } catch { fault.hidden = false; }
  });
})();
