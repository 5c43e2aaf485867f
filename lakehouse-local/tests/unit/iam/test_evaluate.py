"""Judged cases, most of them AWS's own examples; each group names the page that it is from."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lakehouse_local.iam import evaluate as judged
from lakehouse_local.iam import policy
from lakehouse_local.iam.access import Access
from lakehouse_local.iam.evaluate import Principal, ResourcePolicy, evaluate
from lakehouse_local.iam.variables import like, matcher

GUIDE = "https://docs.aws.amazon.com/IAM/latest/UserGuide/"
ACCOUNT, OTHER = "123456789012", "999988887777"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/JohnRole"
SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/JohnRole/s"
BOB = f"arn:aws:iam::{ACCOUNT}:user/Bob"


def statement(effect, actions, resources=None, *, version="2012-10-17", **more):
    content = {"Effect": effect, **({} if actions is None else {"Action": actions}), **more}
    if resources is not None:
        content["Resource"] = resources
    return policy.parse(json.dumps({"Version": version, "Statement": content}))


def allow(actions, resources="*", **more):
    return statement("Allow", actions, resources, **more)


def deny(actions, resources="*", **more):
    return statement("Deny", actions, resources, **more)


def user(*identity, boundary=None, account=ACCOUNT, **values):
    values = {"aws:username": ("Bob",), **values}
    arn = f"arn:aws:iam::{account}:user/Bob"
    return Principal(arn, judged.USER, account, identity=identity, boundary=boundary, values=values)


def role(*identity, boundary=None, session=()):
    return Principal(SESSION, judged.ROLE, ACCOUNT, ROLE, identity, boundary, session)


def of_resource(found, *, needed=False):
    return ResourcePolicy(found, needed) if found is not None else None


ROOT = Principal(f"arn:aws:iam::{ACCOUNT}:root", judged.ROOT, ACCOUNT)
GLUE = Principal("glue.amazonaws.com", judged.SERVICE)
ANYBODY = Principal("anonymous", judged.ANONYMOUS)
BUCKET, OBJECT = "arn:aws:s3:::amzn-s3-demo-bucket", "arn:aws:s3:::amzn-s3-demo-bucket/home/Bob/x.txt"
GET, PUT, LIST = Access("s3:GetObject", OBJECT), Access("s3:PutObject", OBJECT), Access("s3:ListBucket", BUCKET)
TO_BOB = {"Principal": {"AWS": BOB}}
TO_ROLE, TO_SESSION = {"Principal": {"AWS": ROLE}}, {"Principal": {"AWS": SESSION}}
TO_ACCOUNT, TO_ALL = {"Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}}, {"Principal": "*"}


def with_context(access, **context):
    return replace(access, context={name.replace("__", ":"): values for name, values in context.items()})


# (who, access, the resource's policy, whether it may; why not)
LOGIC = {
    # reference_policies_evaluation-logic_policy-eval-denyallow.html
    "nothing allows: an implicit deny": (user(), GET, None, "no identity-based policy allows the s3:GetObject"),
    "an identity's policy allows": (user(allow("s3:GetObject")), GET, None, True),
    "one of several policies allows": (user(allow("ec2:*"), allow("s3:*")), GET, None, True),
    "an explicit deny wins": (user(allow("*"), deny("s3:*")), GET, None, "an explicit deny in an identity-based"),
    "a deny of another action": (user(allow("s3:*"), deny("s3:DeleteObject")), GET, None, True),
    "a deny of another resource": (user(allow("s3:*"), deny("s3:*", "arn:aws:s3:::logs/*")), GET, None, True),
    "the root user may": (ROOT, GET, None, True),
    "a resource's deny holds for the root user": (
        ROOT, GET, deny("s3:*", OBJECT, **TO_ALL), "an explicit deny in a resource-based policy"),
    "nobody, and no policy": (ANYBODY, GET, None, "no resource-based policy"),
    "nobody, and a public bucket": (ANYBODY, GET, allow("s3:GetObject", OBJECT, **TO_ALL), True),
    # reference_policies_evaluation-logic_policies_evaluation-basics: identity and resource policies in one account
    "the resource's policy alone, to the user": (user(), GET, allow("s3:GetObject", OBJECT, **TO_BOB), True),
    "to another user": (
        user(), GET, allow("s3:GetObject", OBJECT, Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:user/Ann"}),
        "no identity-based policy"),
    "to the account delegates, and no more": (user(), GET, allow("s3:*", OBJECT, **TO_ACCOUNT), "no identity-based"),
    "to the account, and an identity's policy": (
        user(allow("s3:*")), GET, allow("s3:*", OBJECT, **TO_ACCOUNT), True),
    "the account's bare number": (
        user(allow("s3:*")), GET, allow("s3:*", OBJECT, Principal={"AWS": ACCOUNT}), True),
    "a resource's deny beats the identity's allow": (
        user(allow("*")), PUT, deny("s3:PutObject", OBJECT, **TO_BOB), "an explicit deny in a resource-based policy"),
    "an identity's deny beats the resource's allow": (
        user(deny("s3:*")), GET, allow("s3:*", OBJECT, **TO_BOB), "an explicit deny in an identity-based policy"),
    "NotPrincipal spares whom it names": (
        user(allow("s3:*")), GET, deny("s3:*", OBJECT, NotPrincipal={"AWS": BOB}), True),
    "NotPrincipal denies the rest": (
        role(allow("s3:*")), GET, deny("s3:*", OBJECT, NotPrincipal={"AWS": BOB}), "an explicit deny in a resource"),
    # access_policies_boundaries.html
    "within the boundary": (user(allow("s3:*"), boundary=allow(["s3:*", "cloudwatch:*"])), GET, None, True),
    "outside of the boundary": (
        user(allow("iam:CreateUser"), boundary=allow(["s3:*", "cloudwatch:*", "ec2:*"])),
        Access("iam:CreateUser", BOB), None, "because no permissions boundary allows the iam:CreateUser"),
    "a boundary gives nothing": (user(boundary=allow("s3:*")), GET, None, "no identity-based policy"),
    "a boundary denies": (
        user(allow("*"), boundary=deny("s3:*")), GET, None, "an explicit deny in a permissions boundary"),
    "a resource's grant to the user passes the boundary": (
        user(boundary=allow("ec2:*")), GET, allow("s3:GetObject", OBJECT, **TO_BOB), True),
    "a resource's grant to the role does not": (
        role(boundary=allow("ec2:*")), GET, allow("s3:GetObject", OBJECT, **TO_ROLE), "no permissions boundary"),
    "a resource's grant to the session does": (
        role(boundary=allow("ec2:*")), GET, allow("s3:GetObject", OBJECT, **TO_SESSION), True),
    # access_policies.html#policies_session
    "within the session policy": (role(allow("s3:*"), session=(allow("s3:GetObject"),)), GET, None, True),
    "outside of the session policy": (
        role(allow("s3:*"), session=(allow("s3:GetObject"),)), PUT, None, "no session policy allows the s3:PutObject"),
    "a session policy gives nothing": (role(session=(allow("s3:*"),)), GET, None, "no identity-based policy"),
    "a session policy denies": (
        role(allow("s3:*"), session=(allow("*"), deny("s3:Get*"))), GET, None, "an explicit deny in a session policy"),
    "a grant to the role stays within the session policy": (
        role(session=(allow("ec2:*"),)), GET, allow("s3:*", OBJECT, **TO_ROLE), "no session policy"),
    "a grant to the session itself passes it": (
        role(session=(allow("ec2:*"),)), GET, allow("s3:*", OBJECT, **TO_SESSION), True),
    "boundary, session and identity policy all allow": (
        role(allow("s3:*"), boundary=allow("s3:Get*"), session=(allow("*"),)), GET, None, True),
    # reference_policies_evaluation-logic-cross-account.html
    "across accounts, by the identity alone": (
        user(allow("s3:*"), account=OTHER), GET, None, "no resource-based policy allows"),
    "across accounts, by the resource alone": (
        user(account=OTHER), GET, allow("s3:*", OBJECT, Principal={"AWS": f"arn:aws:iam::{OTHER}:user/Bob"}),
        "no identity-based policy"),
    "across accounts, by both": (
        user(allow("s3:GetObject"), account=OTHER), GET, allow("s3:*", OBJECT, Principal={"AWS": OTHER}), True),
    "across accounts, the root user of the other": (
        Principal(f"arn:aws:iam::{OTHER}:root", judged.ROOT, OTHER), GET,
        allow("s3:*", OBJECT, Principal={"AWS": OTHER}), True),
    # reference_policies_elements_principal.html
    "a service that the policy names": (
        GLUE, PUT, allow("s3:PutObject", OBJECT, Principal={"Service": "glue.amazonaws.com"}), True),
    "another service": (
        GLUE, PUT, allow("s3:PutObject", OBJECT, Principal={"Service": "logs.amazonaws.com"}), "no resource-based"),
}  # fmt: skip


@pytest.mark.parametrize(("who", "access", "resource", "expected"), LOGIC.values(), ids=LOGIC)
def test_the_way_to_a_decision(who, access, resource, expected):
    decision = evaluate(who, access, of_resource(resource), ACCOUNT, {})
    assert decision.allowed is (expected is True), decision
    if expected is not True:
        assert expected in decision.reason


def trust(**principal):
    return ResourcePolicy(statement("Allow", "sts:AssumeRole", Principal=principal), True, "role trust policy")


CI = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
ASSUME = Access("sts:AssumeRole", ROLE)
DECRYPT = Access("kms:Decrypt", f"arn:aws:kms:us-east-1:{ACCOUNT}:key/1")
# https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html: the trust must allow; a caller whom it names
# itself needs no more, one of an account that it names needs an identity's policy too. Of keys:
# https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html
NEEDED = {
    "trusted by name": (user(), ASSUME, trust(AWS=BOB), True),
    "by the account, allowed": (user(allow("sts:AssumeRole", ROLE)), ASSUME, trust(AWS=ACCOUNT), True),
    "by the account, not allowed": (user(), ASSUME, trust(AWS=ACCOUNT), "no identity-based policy"),
    "not trusted, though allowed": (
        user(allow("*")), ASSUME, trust(AWS=ROLE), "no role trust policy allows the sts:AssumeRole action"),
    "the root user is not trusted either": (ROOT, ASSUME, trust(AWS=ROLE), "no role trust policy"),
    "a trusted service": (GLUE, ASSUME, trust(Service="glue.amazonaws.com"), True),
    "another service": (GLUE, ASSUME, trust(Service="airflow.amazonaws.com"), "no role trust policy"),
    "a web identity": (
        Principal(CI, judged.FEDERATED), Access("sts:AssumeRoleWithWebIdentity", ROLE),
        ResourcePolicy(statement("Allow", "sts:AssumeRoleWithWebIdentity", Principal={"Federated": CI}), True), True),
    "a key's policy that delegates": (
        user(allow("kms:Decrypt")), DECRYPT, ResourcePolicy(allow("kms:*", **TO_ACCOUNT), True), True),
    "a key's policy that does not": (
        user(allow("kms:*")), DECRYPT, ResourcePolicy(allow("kms:*", **TO_ROLE), True), "no resource-based policy"),
}  # fmt: skip


@pytest.mark.parametrize(("who", "access", "resource", "expected"), NEEDED.values(), ids=NEEDED)
def test_a_policy_that_must_allow(who, access, resource, expected):
    decision = evaluate(who, access, resource, ACCOUNT, {})
    assert decision.allowed is (expected is True), decision
    assert expected is True or expected in decision.reason


HOME = {"Condition": {"StringLike": {"s3:prefix": ["", "home/", "home/${aws:username}/*"]}}}
TABLE = f"arn:aws:glue:us-east-1:{ACCOUNT}:table/marts/trips"
LOGS = f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/aws-glue/jobs/output:log-stream:jr_1"
# (the policy of the caller, the access, whether it is allowed)
MATCHED = {
    # reference_policies_elements_action.html, _notaction.html
    "actions regard no case": (allow("S3:getobject"), GET, True),
    "a wildcard in an action": (allow("s3:*Object"), PUT, True),
    "a question mark": (allow("s3:?etObject"), GET, True),
    "one letter too many": (allow("s3:?GetObject"), GET, False),
    "another service's action": (allow("iam:*"), GET, False),
    "all but some": (statement("Allow", None, "*", NotAction=["iam:*", "organizations:*"]), GET, True),
    "some of all but some": (statement("Allow", None, "*", NotAction=["iam:*", "s3:Get*"]), GET, False),
    # reference_policies_elements_resource.html, _notresource.html
    "the bucket is not its objects": (allow("s3:*", BUCKET), GET, False),
    "the objects are not the bucket": (allow("s3:*", f"{BUCKET}/*"), LIST, False),
    "a resource regards case": (allow("s3:*", OBJECT.upper()), GET, False),
    "a wildcard goes over slashes": (allow("s3:*", f"{BUCKET}/*/x.txt"), GET, True),
    "a wildcard within a segment": (allow("glue:GetTable", f"arn:aws:glue:*:{ACCOUNT}:table/m*/trips"),
                                    Access("glue:GetTable", TABLE), True),
    "a wildcard in a segment's middle stays there": (
        allow("logs:*", f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/aws*output"), Access("logs:Put", LOGS), False),
    "one at a segment's end goes beyond": (
        allow("logs:*", f"arn:aws:logs:us-east-1:{ACCOUNT}:log-group:/aws-glue/*"), Access("logs:Put", LOGS), True),
    "all but a resource": (statement("Allow", "s3:*", NotResource=f"{BUCKET}/secret/*"), GET, True),
    "that resource": (statement("Allow", "s3:*", NotResource=f"{BUCKET}/home/*"), GET, False),
    "an action without a resource": (allow("s3:*", f"{BUCKET}/*"), Access("s3:ListAllMyBuckets", "*"), False),
    # reference_policies_variables.html
    "the user's own folder": (allow("s3:GetObject", f"{BUCKET}/home/${{aws:username}}/*"), GET, True),
    "another's folder": (
        allow("s3:GetObject", f"{BUCKET}/home/${{aws:username}}/*"), Access("s3:GetObject", f"{BUCKET}/home/A/x"),
        False),
    "a listing of the own folder": (
        allow("s3:ListBucket", BUCKET, **HOME), with_context(LIST, s3__prefix=("home/Bob/a",)), True),
    "a listing of another's": (
        allow("s3:ListBucket", BUCKET, **HOME), with_context(LIST, s3__prefix=("home/A/",)), False),
    "an unknown variable fits nothing": (allow("s3:*", f"{BUCKET}/${{aws:PrincipalTag/team}}/*"), GET, False),
    "its default": (allow("s3:*", f"{BUCKET}/${{aws:PrincipalTag/team, 'home'}}/*"), GET, True),
    "the old version has no variables": (
        allow("s3:GetObject", f"{BUCKET}/home/${{aws:username}}/*", version="2008-10-17"), GET, False),
    "a literal star": (allow("s3:*", f"{BUCKET}/${{*}}"), Access("s3:GetObject", f"{BUCKET}/*"), True),
    "a literal star is no wildcard": (allow("s3:*", f"{BUCKET}/${{*}}"), GET, False),
}  # fmt: skip


@pytest.mark.parametrize(("identity", "access", "expected"), MATCHED.values(), ids=MATCHED)
def test_what_a_statement_covers(identity, access, expected):
    assert evaluate(user(identity), access, None, ACCOUNT, {}).allowed is expected


# (operator, the policy's values, the call's values of the key; whether the condition holds)
CONDITIONS = [
    # reference_policies_elements_condition_operators.html
    ("StringEquals", "a", ["a"], True),
    ("StringEquals", "a", ["A"], False),
    ("StringEquals", ["a", "b"], ["b"], True),
    ("StringNotEquals", "a", ["b"], True),
    ("StringNotEquals", ["a", "b"], ["b"], False),
    ("StringEqualsIgnoreCase", "a", ["A"], True),
    ("StringNotEqualsIgnoreCase", "a", ["A"], False),
    ("StringLike", "ho*/", ["home/"], True),
    ("StringLike", "ho?e/", ["home/"], True),
    ("StringNotLike", "h*", ["home"], False),
    ("NumericLessThanEquals", "10", ["10"], True),
    ("NumericLessThan", 10, ["10"], False),
    ("NumericEquals", "1", ["x"], False),
    ("NumericGreaterThan", "10", ["10.5"], True),
    ("NumericNotEquals", "1", ["2"], True),
    ("DateGreaterThan", "2020-01-01T00:00:01Z", ["2024-01-01T00:00:00Z"], True),
    ("DateLessThan", "2020-01-01T00:00:01Z", ["1704067200"], False),
    ("Bool", "true", ["true"], True),
    ("Bool", False, ["true"], False),
    ("BinaryEquals", "QQ==", ["QQ=="], True),
    ("IpAddress", "203.0.113.0/24", ["203.0.113.7"], True),
    ("NotIpAddress", "203.0.113.0/24", ["203.0.113.7"], False),
    ("IpAddress", "2001:db8::/32", ["2001:db8::1"], True),
    ("IpAddress", "203.0.113.0/24", ["no address"], False),
    ("ArnLike", "arn:aws:iam::*:role/x*", [ROLE], False),
    ("ArnLike", "arn:aws:iam::*:role/J*", [ROLE], True),
    ("ArnEquals", "arn:aws:iam::123456789012:role/*", [ROLE], True),
    ("ArnLike", "arn:aws:*:role/JohnRole", [ROLE], False),
    ("ArnNotLike", "arn:aws:iam::*:role/J*", [ROLE], False),
    # a key that the call does not have
    ("StringEquals", "a", [], False),
    ("StringNotEquals", "a", [], True),
    ("StringEqualsIfExists", "a", [], True),
    ("StringEqualsIfExists", "a", ["b"], False),
    ("StringLikeIfExists", "a*", [], True),
    ("Bool", "false", [], False),
    ("Null", "true", [], True),
    ("Null", "true", ["a"], False),
    ("Null", "false", ["a"], True),
    ("Null", "false", [], False),
    # reference_policies_condition-single-vs-multi-valued-context-keys.html
    ("ForAllValues:StringEquals", ["a", "b"], ["a"], True),
    ("ForAllValues:StringEquals", ["a", "b"], ["a", "c"], False),
    ("ForAllValues:StringEquals", ["a"], [], True),
    ("ForAnyValue:StringEquals", ["a"], ["a", "c"], True),
    ("ForAnyValue:StringEquals", ["a"], ["b", "c"], False),
    ("ForAnyValue:StringEquals", ["a"], [], False),
    ("ForAllValues:StringNotEquals", ["a"], ["b", "c"], True),
    ("ForAnyValue:StringNotEquals", ["a"], ["a", "c"], True),
]


@pytest.mark.parametrize(("operator", "wanted", "given_values", "expected"), CONDITIONS)
def test_conditions(operator, wanted, given_values, expected):
    identity = allow("s3:GetObject", Condition={operator: {"Lakehouse:Key": wanted}})
    context = {"lakehouse:key": tuple(given_values)} if given_values else {}
    assert evaluate(user(identity), replace(GET, context=context), None, ACCOUNT, {}).allowed is expected


def test_all_conditions_of_a_statement_must_hold():
    both = allow("s3:*", Condition={"StringEquals": {"k": "a", "l": "b"}, "Bool": {"aws:SecureTransport": "true"}})
    for k, secure, expected in (("a", "true", True), ("x", "true", False), ("a", "false", False)):
        access = replace(GET, context={"k": (k,), "l": ("b",)})
        values = {"aws:securetransport": (secure,)}
        assert evaluate(user(both), access, None, ACCOUNT, values).allowed is expected


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("{", "not JSON"),
        ("[]", "a JSON object with a Statement"),
        ('{"Version": "2020-01-01", "Statement": []}', "Version '2020-01-01'"),
        ('{"Statement": {"Effect": "Maybe", "Action": "*"}}', "Allow or Deny"),
        ('{"Statement": {"Effect": "Allow", "Resource": "*"}}', "an Action or a NotAction"),
        ('{"Statement": {"Effect": "Allow", "Action": "*", "NotAction": "*"}}', "not both"),
        ('{"Statement": {"Effect": "Allow", "Action": "*", "Principal": "me"}}', "'*' or an object"),
        ('{"Statement": {"Effect": "Allow", "Action": "*", "Condition": {"Equals": {"a": "b"}}}}', "'Equals'"),
    ],
)
def test_what_is_no_policy(document, message):
    with pytest.raises(policy.PolicyError, match=message.replace("*", r"\*")):
        policy.parse(document)


texts = st.text(st.sampled_from("ab:/*?"), max_size=8)


@given(texts)
def test_a_text_without_wildcards_fits_itself_alone(text):
    plain = text.replace("*", "").replace("?", "")
    assert like(plain, None, plain)
    assert not like(plain, None, plain + "x")
    assert like("*", None, text)


@given(texts, texts, texts)
def test_a_star_stands_for_anything(before, inside, after):
    before, after = (text.replace("*", "").replace("?", "b") for text in (before, after))
    assert like(f"{before}*{after}", None, f"{before}{inside}{after}")


@given(texts)
def test_a_variables_value_is_never_a_pattern(value):
    fits = matcher("arn:${aws:username}", {"aws:username": (value,)}, is_arn=True)
    assert fits(f"arn:{value}")
    assert not fits(f"arn:{value}x")
