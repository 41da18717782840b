{{/*
What the operator may do in a namespace it works in. There is no list and no watch on Secrets, so it must know a name to
read one; there is no delete, which is the garbage collector's.
*/}}
{{- define "scrobble-operator.namespaceRules" -}}
- apiGroups: [scrobble-operator.io]
  resources: [spotifyapps, spotifyaccounts, scrobbletargets]
  verbs: [get, list, watch]
- apiGroups: [scrobble-operator.io]
  resources: [spotifyapps/status, spotifyaccounts/status, scrobbletargets/status]
  verbs: [patch, update]
# An account's finalizer, while the operator holds a token that the token Secret does not have yet.
- apiGroups: [scrobble-operator.io]
  resources: [spotifyaccounts]
  verbs: [patch]
- apiGroups: [""]
  resources: [secrets]
  verbs: [get, create, patch, update]
- apiGroups: [events.k8s.io]
  resources: [events]
  verbs: [create, patch]
{{- end }}
