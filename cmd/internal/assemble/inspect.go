package assemble

import (
	"errors"
	"fmt"
	"strings"

	"github.com/rolecall/rolecall/config"
	"github.com/rolecall/rolecall/idp"
	"github.com/rolecall/rolecall/idp/saml"
)

// SAMLVerdict judges a document as the ACS of one configured provider would: with
// its metadata_file, its keys and what it allows. It opens no store and no
// connection, and makes no session. The error is about the configuration, never
// about the document; warnings are what `check` would say at that time.
func SAMLVerdict(options Options, name string, document []byte, how saml.Inspection) (v saml.Verdict, warnings config.Faults, err error) {
	section, err := sectionOf(options.Config, "saml", name)
	if err != nil {
		return v, nil, err
	}
	section.SignRequests = false // nothing is sent
	client, err := newFetch(options, section)
	if err != nil {
		return v, nil, err
	}
	p, err := saml.New(saml.Config{Provider: section, URL: serverURL(options.Config), Fetch: client, Now: options.Now, Log: options.Log})
	if err != nil {
		return v, nil, err
	}
	v, err = p.Inspect(document, how)
	if errors.Is(err, idp.ErrUnavailable) {
		err = fmt.Errorf("provider %q has metadata_url, and inspection opens no connection: save that document and name it as metadata_file", name)
	}
	return v, p.Warnings(), err
}

// sectionOf finds the section of a provider of one type.
func sectionOf(c *config.Config, kind, name string) (config.Provider, error) {
	var known []string
	for _, p := range c.Providers {
		switch {
		case p.Type.Value == kind && p.Name.Value == name:
			return p, nil
		case p.Name.Value == name:
			return p, fmt.Errorf("provider %q is of type %s and not %s", name, p.Type.Value, kind)
		case p.Type.Value == kind:
			known = append(known, p.Name.Value)
		}
	}
	if len(known) == 0 {
		return config.Provider{}, fmt.Errorf("there is no provider %q, and none of type %s", name, kind)
	}
	return config.Provider{}, fmt.Errorf("there is no provider %q; those of type %s are %s", name, kind, strings.Join(known, ", "))
}
