"""Signs and verifies tokens with PyJWT, one JSON request a line."""
import base64
import json
import sys

import jwt
from jwt.algorithms import get_default_algorithms


def key_of(alg, jwk):
    if jwk["kty"] == "oct":
        return base64.urlsafe_b64decode(jwk["k"] + "==")
    return get_default_algorithms()[alg].from_jwk(json.dumps(jwk))


for line in sys.stdin:
    ask = json.loads(line)
    try:
        key = key_of(ask["alg"], ask["jwk"])
        if "claims" in ask:
            answer = jwt.encode(ask["claims"], key, algorithm=ask["alg"], headers=ask["header"])
        else:
            answer = jwt.decode(
                ask["token"], key, algorithms=[ask["alg"]], audience=ask["audience"], issuer=ask["issuer"]
            )
        print(json.dumps({"answer": answer}), flush=True)
    except Exception as error:
        print(json.dumps({"error": type(error).__name__ + ": " + str(error)}), flush=True)
