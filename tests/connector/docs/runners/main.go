// Asks the snippet about each line of JSON; answers with one line each.
package main

import (
	"bufio"
	"encoding/json"
	"os"

	"example.com/receiver/webhook"
)

type question struct {
	Secret, ID, Timestamp, Signatures string
	Body                              []byte
}

func main() {
	lines := bufio.NewReader(os.Stdin)
	answers := json.NewEncoder(os.Stdout)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			return
		}
		var asked question
		if err := json.Unmarshal(line, &asked); err != nil {
			panic(err)
		}
		value, err := webhook.IsGenuine(
			asked.Secret, asked.ID, asked.Timestamp, asked.Signatures, asked.Body)
		if err != nil {
			answers.Encode(map[string]string{"error": err.Error()})
		} else {
			answers.Encode(map[string]bool{"value": value})
		}
	}
}
