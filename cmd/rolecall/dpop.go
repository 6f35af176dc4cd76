package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/rolecall/rolecall/idp/dpop"
)

// dpop makes proofs for curl, so that somebody who writes an app can try what it
// will say.
func (t *tool) dpop() *cobra.Command {
	var keyFile, token, nonce string
	c := &cobra.Command{
		Use:   "dpop METHOD URL",
		Short: "Make a DPoP proof for curl, to try the API for apps (/tvm/v1)",
		Long: "Make the value of the DPoP header of one request, with a key in a file, which is made where there is\n" +
			"none: it is what a phone would keep. The nonce is fetched from the server. For trying things out: a\n" +
			"token on a command line can be read by who lists processes.",
		Example: "  curl -s $URL/tvm/v1/devices -H \"DPoP: $(rolecall dpop --key phone.pem POST $URL/tvm/v1/devices)\" \\\n" +
			"    -H 'Content-Type: application/json' -d '{\"app\": \"notes\"}'",
		Args: cobra.ExactArgs(2),
		RunE: func(c *cobra.Command, args []string) error {
			if keyFile == "" {
				return errUsage{errors.New("--key is required: the file with the key, made where there is none")}
			}
			address, err := url.Parse(args[1])
			if err != nil || address.Host == "" || address.Scheme != "https" && address.Scheme != "http" {
				return errUsage{fmt.Errorf("%q is no http address", args[1])}
			}
			key, err := deviceKey(keyFile)
			if err != nil {
				return err
			}
			if nonce == "" {
				if nonce, err = fetchNonce(c.Context(), address); err != nil {
					return err
				}
			}
			prover, err := dpop.NewProver(key, t.now)
			if err != nil {
				return err
			}
			proof, err := prover.ProveNonce(strings.ToUpper(args[0]), args[1], token, nonce)
			if err != nil {
				return err
			}
			_, err = fmt.Fprintln(t.stdout, proof)
			return err
		},
	}
	c.Flags().StringVar(&keyFile, "key", "", "file with the key of the device, made where there is none")
	c.Flags().StringVar(&token, "token", "", "the access token that is sent along")
	c.Flags().StringVar(&nonce, "nonce", "", "the nonce of the server (default: fetched)")
	return c
}

// deviceKey reads a P-256 key, or makes one that its owner alone can read.
func deviceKey(path string) (*ecdsa.PrivateKey, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return newDeviceKey(path)
	}
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return nil, fmt.Errorf("%s is no PEM file", path)
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(*ecdsa.PrivateKey)
	if err != nil || !ok || key.Curve != elliptic.P256() {
		return nil, fmt.Errorf("%s holds no P-256 key (PKCS #8)", path) // the parser's error is not for a terminal
	}
	return key, nil
}

func newDeviceKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, err
	}
	err = pem.Encode(file, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return key, errors.Join(err, file.Close())
}

// fetchNonce asks the server for the nonce of the next proof.
func fetchNonce(ctx context.Context, address *url.URL) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	at := url.URL{Scheme: address.Scheme, Host: address.Host, Path: "/tvm/v1/openapi.json"}
	req, err := http.NewRequestWithContext(ctx, http.MethodHead, at.String(), nil)
	if err != nil {
		return "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", fmt.Errorf("ask for a nonce: %w", err)
	}
	_ = resp.Body.Close()
	nonce := resp.Header.Get("DPoP-Nonce")
	if nonce == "" {
		return "", fmt.Errorf("%s gives no nonce (status %d): has the broker apps in its configuration?", at.String(), resp.StatusCode)
	}
	return nonce, nil
}
