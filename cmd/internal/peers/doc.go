// Package peers holds the tests of `rolecalld serve` against software of others
// (testdata/peers): SimpleSAMLphp as SAML identity provider, oidc-provider as
// OpenID provider, a scripted browser in between, and broker/devaws for AWS. A
// peer that cannot be started fails its test.
package peers
