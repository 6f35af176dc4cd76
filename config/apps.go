package config

import "time"

// App is one mobile or single-page app. It has no secret: it ships in an app
// store. Its devices prove themselves by keys of their own.
type App struct {
	Pos       Pos    `yaml:"-"`
	Name      Text   `yaml:"name" required:"true" doc:"Lower-case letters, digits and '-'; it is the app's client_id."`
	Label     string `yaml:"label" doc:"What people read. Default: the name."`
	Guests    bool   `yaml:"guests" doc:"Whether a device without a person gets credentials, by grants with guests: true."`
	Providers []Text `yaml:"providers" doc:"Names of providers whose people may log in to the app."`
	Grants    []Text `yaml:"grants" doc:"Names of grants by which credentials may be ordered through the app; there is no default. Refusals (deny: true) always count, listed or not."`

	RedirectURIs []Text    `yaml:"redirect_uris" doc:"Addresses to which a sign-in in the browser may return: https, an address on loopback, or the app's own scheme (com.example.notes:/callback). Compared letter by letter; http://127.0.0.1/PATH and http://[::1]/PATH stand for every port."`
	Origins      []Text    `yaml:"origins" doc:"Origins of web pages that are the app, such as https://notes.example.com: a browser lets them call /tvm/v1 and /oauth2/token."`
	Policy       Text      `yaml:"policy" as:"json" doc:"Session policy of every order through the app, as JSON text or a YAML mapping; may hold templates. It narrows the grant's own policy and never widens it."`
	Limits       AppLimits `yaml:"limits" doc:"Rates and numbers of this app."`

	GuestDuration time.Duration `yaml:"guest_duration" default:"15m" doc:"Longest life of a guest's credentials."`
	RefreshMax    time.Duration `yaml:"refresh_max" default:"2160h" doc:"A device that has not refreshed its tokens for this long must register again, with the same key."`
	LoginMax      time.Duration `yaml:"login_max" default:"24h" doc:"How long a person stays logged in on a device, from the login on: groups are those of the login. The provider's own end of the session is kept too."`
}

// AppLimits bound what devices of an app may do.
type AppLimits struct {
	PerDevice        Rate `yaml:"per_device" default:"30/m" doc:"Orders of credentials, by each device."`
	Registrations    Rate `yaml:"registrations" default:"600/m" doc:"Registrations of devices, by all of the app together; limits.per_address counts beside it."`
	DevicesPerPerson int  `yaml:"devices_per_person" default:"10" doc:"On how many devices a person may be logged in to the app."`
}
