package saml_test

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"log/slog"
	"math/big"
	"regexp"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rolecall/rolecall/idp/idptest"
	"github.com/rolecall/rolecall/idp/saml"
)

// A certificate that runs out is said once a day from 30 days before, louder from
// 7 and from 1, wherever the metadata is from.
func TestACertificateThatRunsOutIsSaidOnceADayAndLouder(t *testing.T) {
	t.Parallel()
	for _, from := range []string{"file", "address"} {
		synctest.Test(t, func(t *testing.T) {
			i := idptest.NewSAMLIdP(t)
			end := time.Now().AddDate(0, 0, 32)
			template := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: "soon"}, NotBefore: time.Now(), NotAfter: end}
			der, err := x509.CreateCertificate(rand.Reader, template, template, i.Keys[0].Signer.Public(), i.Keys[0].Signer)
			if err != nil {
				t.Fatal(err)
			}
			if i.Keys[0].Certificate, err = x509.ParseCertificate(der); err != nil {
				t.Fatal(err)
			}
			var log lockedLog
			with := func(c *saml.Config) {
				c.Now, c.Log = time.Now, slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelInfo}))
			}
			p := provider(t, i, with)
			if from == "address" {
				p = byURL(t, i, &remote{body: i.Metadata()}, with)
			}
			ctx, stop := context.WithCancel(t.Context())
			go p.Run(ctx)
			time.Sleep(33*24*time.Hour - time.Hour)
			stop()
			synctest.Wait()
			got := map[string]int{}
			for _, m := range regexp.MustCompile(`level=(\w+) msg="saml: a signing certificate of the provider runs out" provider=corp subject="?CN=soon`).FindAllStringSubmatch(log.String(), -1) {
				got[m[1]]++
			}
			if diff := cmp.Diff(map[string]int{"INFO": 24, "WARN": 6, "ERROR": 1}, got); diff != "" {
				t.Errorf("%s: (-want +got):\n%s", from, diff)
			}
		})
	}
}
