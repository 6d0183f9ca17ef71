package seal

import (
	"context"
	"errors"
	"slices"

	"github.com/deployguardian/adg"
)

// Keyring seals with one key and opens with any of its keys. It is safe for concurrent use.
type Keyring struct {
	keys []Key // the active one first
}

// Record is a sealed value and its place.
type Record struct {
	Place  Place
	Sealed string
}

// Rotation is what became of records that were to be sealed by the active key.
type Rotation struct {
	Changed   []Record // sealed anew, to be stored in the place of the old ones
	Remaining int      // still sealed by another key
}

// NewKeyring makes a keyring. Two keys of the same id are Invalid.
func NewKeyring(active Key, older ...Key) (*Keyring, error) {
	keys := append([]Key{active}, older...)
	seen := map[string]bool{}
	for _, key := range keys {
		switch id := key.ID(); {
		case !keyID.MatchString(id):
			return nil, adg.Errorf(adg.Invalid, "a key has an id that cannot be written: %q", id)
		case seen[id]:
			return nil, adg.Errorf(adg.Invalid, "the key %s is given twice: take one of them out", id)
		default:
			seen[id] = true
		}
	}
	return &Keyring{keys}, nil
}

// Active is the id of the key that Seal uses.
func (k *Keyring) Active() string { return k.keys[0].ID() }

// Seal encrypts a secret for a place. The same secret is another text each time. Unavailable: the key is kept
// elsewhere and cannot be reached.
func (k *Keyring) Seal(ctx context.Context, at Place, secret adg.Secret) (string, error) {
	if err := at.check(); err != nil {
		return "", err
	}
	plain := []byte(secret.Reveal())
	defer clear(plain)
	if len(plain) > MaxSecret {
		return "", adg.Errorf(adg.Invalid, "the secret of %s %s has %d bytes: at most %d can be sealed", at.Kind, at.Key, len(plain), MaxSecret)
	}
	dataKey := random()
	defer clear(dataKey)
	box, err := gcm(dataKey)
	if err != nil {
		return "", adg.Errorf(adg.Internal, "sealing the secret of %s %s: %w", at.Kind, at.Key, err)
	}
	id := k.Active()
	wrapped, err := k.keys[0].Wrap(ctx, dataKey)
	if err != nil {
		return "", adg.Errorf(adg.CodeOf(err), "sealing the secret of %s %s with key %s: %w", at.Kind, at.Key, id, err)
	}
	if len(wrapped) == 0 || len(wrapped) > maxWrapped {
		return "", adg.Errorf(adg.Internal, "key %s wrapped a data key into %d bytes: 1 to %d can be kept", id, len(wrapped), maxWrapped)
	}
	return envelope{id, wrapped, box.Seal(nil, nil, plain, at.bound(id))}.String(), nil
}

// Open decrypts what was sealed for that place. NotFound: by a key that is not in the ring. Invalid: it was changed,
// or sealed for another place. Unavailable: the key is kept elsewhere and cannot be reached.
func (k *Keyring) Open(ctx context.Context, at Place, sealed string) (adg.Secret, error) {
	if err := at.check(); err != nil {
		return adg.Secret{}, err
	}
	e, err := parse(sealed)
	if err != nil {
		return adg.Secret{}, adg.Permanent(adg.Errorf(adg.Invalid, "opening the secret of %s %s: %w", at.Kind, at.Key, err))
	}
	i := slices.IndexFunc(k.keys, func(key Key) bool { return key.Opens(e.key) })
	if i < 0 {
		return adg.Secret{}, adg.Permanent(adg.Errorf(adg.NotFound,
			"the secret of %s %s was sealed with key %s, which is not configured: add it to seal.older", at.Kind, at.Key, e.key))
	}
	changed := func(cause error) error {
		return adg.Permanent(adg.Errorf(adg.Invalid,
			"the secret of %s %s does not open with key %s: it was changed, or sealed for another record; enter it again: %w", at.Kind, at.Key, e.key, cause))
	}
	dataKey, err := k.keys[i].Unwrap(ctx, e.key, e.wrapped)
	defer clear(dataKey)
	switch {
	case err != nil && adg.CodeOf(err) == adg.Invalid:
		return adg.Secret{}, changed(err)
	case err != nil:
		return adg.Secret{}, adg.Errorf(adg.CodeOf(err), "opening the secret of %s %s with key %s: %w", at.Kind, at.Key, e.key, err)
	case len(dataKey) != keyBytes:
		return adg.Secret{}, changed(errors.New("its key is not of the right length"))
	}
	box, err := gcm(dataKey)
	if err != nil {
		return adg.Secret{}, adg.Errorf(adg.Internal, "opening the secret of %s %s: %w", at.Kind, at.Key, err)
	}
	plain, err := box.Open(nil, nil, e.box, at.bound(e.key))
	defer clear(plain)
	if err != nil {
		return adg.Secret{}, changed(err)
	}
	return adg.NewSecret(string(plain)), nil
}

// Stale tells whether a value was sealed by another key than the active one. Invalid: it is no sealed value.
func (k *Keyring) Stale(sealed string) (bool, error) {
	e, err := parse(sealed)
	return err == nil && e.key != k.Active(), err
}

// Reseal seals up to limit of the records with the active key that were sealed by others, and says how many remain.
// It changes nothing itself: whoever calls it stores what has changed, and calls again until nothing remains; the
// older keys can be taken away then. After an error what it gives back was done and can be stored.
func (k *Keyring) Reseal(ctx context.Context, records []Record, limit int) (Rotation, error) {
	var stale []Record
	for _, r := range records {
		old, err := k.Stale(r.Sealed)
		if err != nil {
			return Rotation{}, adg.Errorf(adg.Invalid, "the secret of %s %s: %w", r.Place.Kind, r.Place.Key, err)
		}
		if old {
			stale = append(stale, r)
		}
	}
	made := Rotation{Remaining: len(stale)}
	for _, r := range stale[:min(len(stale), max(limit, 0))] {
		secret, err := k.Open(ctx, r.Place, r.Sealed)
		if err != nil {
			return made, err
		}
		if r.Sealed, err = k.Seal(ctx, r.Place, secret); err != nil {
			return made, err
		}
		made.Changed = append(made.Changed, r)
		made.Remaining--
	}
	return made, nil
}
