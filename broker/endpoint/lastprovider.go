package endpoint

import "net/http"

const lastProviderCookie = "rolecall_provider"

// LastProvider is the provider by which this browser signed in last, "" if it
// never did. It only decides which button of the sign-in page is filled.
func (c Cookies) LastProvider(r *http.Request) string { return value(r, c.name(lastProviderCookie)) }

// SetLastProvider remembers the provider for a year.
func (c Cookies) SetLastProvider(w http.ResponseWriter, provider string) {
	http.SetCookie(w, &http.Cookie{
		Name: c.name(lastProviderCookie), Value: provider, Path: "/", MaxAge: 365 * 24 * 60 * 60,
		HttpOnly: true, Secure: c.HTTPS, SameSite: http.SameSiteLaxMode,
	})
}
