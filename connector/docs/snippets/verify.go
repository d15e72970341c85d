package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const tolerance = 300 // seconds

var digits = regexp.MustCompile(`\A[0-9]{1,12}\z`)

// IsGenuine tells whether a webhook is from whom it should be, and new. body: the bytes as they came.
func IsGenuine(secret, id, timestamp, signatures string, body []byte) (bool, error) {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) < 24 {
		return false, errors.New("this is not the signing secret of a subscription")
	}
	if id == "" || strings.Contains(id, ".") || !digits.MatchString(timestamp) {
		return false, nil
	}
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil {
		return false, nil
	}
	if off := time.Now().Unix() - seconds; off < -tolerance || off > tolerance {
		return false, nil
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	expected := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	for _, one := range strings.Split(signatures, " ") {
		if hmac.Equal(expected, []byte(one)) {
			return true, nil
		}
	}
	return false, nil
}

// In net/http:
//
//	http.HandleFunc("/hook", func(w http.ResponseWriter, r *http.Request) {
//		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 10_000_000))
//		if err != nil {
//			return
//		}
//		h := r.Header
//		genuine, err := webhook.IsGenuine(secret, h.Get("webhook-id"),
//			h.Get("webhook-timestamp"), h.Get("webhook-signature"), body)
//		if err != nil || !genuine {
//			w.WriteHeader(http.StatusUnauthorized)
//			return
//		}
//		w.WriteHeader(http.StatusNoContent)
//	})
