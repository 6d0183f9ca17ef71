package seal

import (
	"context"

	"github.com/deployguardian/adg"
)

// Source says where a key is: exactly one of its fields is set.
type Source struct {
	_     struct{} `pick:"one"`
	File  *string  `yaml:"file" example:"/etc/adg/seal.key" doc:"A file with the key, as 'adg key new' prints it, that only its owner may read."`
	Env   *string  `yaml:"env" example:"ADG_SEAL_KEY" doc:"An environment variable with the key, as 'adg key new' prints it."`
	Vault *Vault   `yaml:"vault" doc:"HashiCorp Vault or OpenBao. Another start needs Vault to answer."`
}

// Check reports everything that is wrong with the source, without reading the key.
func (s Source) Check() error {
	given := 0
	for _, set := range []bool{s.File != nil, s.Env != nil, s.Vault != nil} {
		if set {
			given++
		}
	}
	switch {
	case given != 1:
		return invalid("a key comes from exactly one of file, env and vault")
	case s.File != nil && *s.File == "":
		return invalid("the file of a key has no name: write it as {file: /etc/adg/seal.key}")
	case s.Env != nil && *s.Env == "":
		return invalid("the variable of a key has no name: write it as {env: ADG_SEAL_KEY}")
	case s.Vault != nil:
		return s.Vault.Check()
	}
	return nil
}

// Open reads the key, or connects to where it is kept. env finds environment variables.
func (s Source) Open(ctx context.Context, env func(name string) (string, bool)) (Key, error) {
	if err := s.Check(); err != nil {
		return nil, err
	}
	switch {
	case s.File != nil:
		return FileKey(*s.File)
	case s.Vault != nil:
		return s.Vault.Open(ctx)
	}
	text, found := env(*s.Env)
	if !found {
		return nil, adg.Errorf(adg.Invalid, "the environment variable %s, which holds the key, is not set", *s.Env)
	}
	key, err := ParseKey(adg.NewSecret(text))
	if err != nil {
		return nil, adg.Errorf(adg.Invalid, "the key in the environment variable %s: %w", *s.Env, err)
	}
	return key, nil
}

// OpenRing opens the active key and the older ones.
func OpenRing(ctx context.Context, active Source, older []Source, env func(name string) (string, bool)) (*Keyring, error) {
	first, err := active.Open(ctx, env)
	if err != nil {
		return nil, adg.Errorf(adg.CodeOf(err), "the active key: %w", err)
	}
	var others []Key
	for i, source := range older {
		key, err := source.Open(ctx, env)
		if err != nil {
			return nil, adg.Errorf(adg.CodeOf(err), "the older key %d: %w", i+1, err)
		}
		others = append(others, key)
	}
	return NewKeyring(first, others...)
}
