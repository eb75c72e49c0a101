"""What an operator reads when the file is wrong."""

import pytest


def test_all_problems_are_reported_at_once(problems):
    found = problems(
        """
        [state]
        histroy = "90d"
        [schedule]
        interval = 60
        [crm.main]
        type = "salesforce"
        url = "crm.example.com"
        [account.alice]
        crm = "mian"
        [[account.alice.source]]
        typ = "carddav"
        url = "https://dav.example.com"
        username = 7
        """
    )
    assert set(found) == {
        "state.histroy",
        "schedule.interval",
        "crm.main.url",
        "crm.main.client_id",
        "crm.main.client_secret",
        "crm.main.username",
        "crm.main.password",
        "account.alice.crm",
        "account.alice.crm_user",
        "account.alice.source[0].typ",
        "account.alice.source[0].username",
        "account.alice.source[0].password",
    }


def test_a_misspelt_key_names_the_right_one(problems, good):
    ((key, problem),) = problems(good.replace('type = "carddav"', 'typ = "carddav"')).items()
    assert key == "account.alice.source[0].typ"
    assert problem.found == "an unknown key"
    assert problem.suggestion == "type"
    assert 'did you mean "type"?' in str(problem)


def test_a_misspelt_secret_names_the_right_key_and_never_shows_the_value(problems, good):
    ((key, problem),) = problems(good.replace("password =", "pasword =")).items()
    assert key == "account.alice.source[0].pasword"
    assert problem.suggestion == "password"
    assert "in clear" not in str(problem)


@pytest.mark.parametrize("key", ["password", "password_file", "password_command", "password_env"])
@pytest.mark.parametrize(
    "value", ["4711815", "['hunter2', 4711815]", "{ a = 'hunter2' }", "''", '"\'hunter2\\u0000"']
)
def test_a_secret_of_the_wrong_kind_is_not_shown(problems, good, key, value):
    ((where, problem),) = problems(good.replace('password = "in clear"', f"{key} = {value}")).items()
    assert where == "account.alice.source[0].password"
    assert "hunter2" not in str(problem)
    assert "4711815" not in str(problem)


def test_a_password_in_a_url_is_refused_and_not_shown(problems, good):
    ((_, problem),) = problems(good.replace("//dav.", "//alice:hunter2@dav.")).items()
    assert "hunter2" not in str(problem)
    ((_, problem),) = problems(good + '[state]\nurl = "mysql://alice:hunter2@db/crm"').items()
    assert "hunter2" not in str(problem)


def test_only_one_way_to_give_a_secret(problems, good):
    ((key, problem),) = problems(good + 'password_env = "X"').items()
    assert key == "account.alice.source[0].password"
    assert problem.found == "password_env and password"


def test_a_missing_secret_lists_the_ways_to_give_it(problems, good):
    ((_, problem),) = problems(good.replace('password = "in clear"', "")).items()
    for way in ("password_file", "password_command", "password_env", "password_credential"):
        assert way in problem.expected


def test_account_names_an_existing_crm(problems, good):
    ((key, problem),) = problems(good.replace('crm = "main"', 'crm = "mian"')).items()
    assert (key, problem.suggestion) == ("account.alice.crm", "main")


def test_keys_that_auth_needs_and_keys_it_does_not(problems, good):
    found = problems(good.replace('auth = "password"', 'auth = "jwt"'))
    assert set(found) == {
        f"crm.main.{key}" for key in ("client_secret", "password", "private_key", "audience")
    }


@pytest.mark.parametrize(
    ("old", "new", "key"),
    [
        ('type = "carddav"', 'type = "caldev"', "account.alice.source[0].type"),
        ("[[account.alice.source]]", "[account.alice.source]", "account.alice.source"),
        ('crm_user = "alice@example.com"', 'crm_user = " "', "account.alice.crm_user"),
        ('crm = "main"', 'crm = "main"\ntag = "a,b"', "account.alice.tag"),
        ('crm = "main"', 'crm = "main"\naddresses = ["alice"]', "account.alice.addresses[0]"),
        ('crm = "main"', 'crm = "main"\ncrm_select = "ownd"', "account.alice.crm_select"),
        ('crm = "main"', 'crm = "main"\ntime_zone = "../etc/passwd"', "account.alice.time_zone"),
        ('crm = "main"', 'crm = "main"\ndelete.contakt = "mirror"', "account.alice.delete.contakt"),
        ('crm = "main"', 'crm = "main"\nguard.task.percent = 101', "account.alice.guard.task.percent"),
        ('username = "alice"', 'username = "alice"\ncollections = []', "account.alice.source[0].collections"),
        ('username = "alice"', 'username = "alice"\nca_file = "no.pem"', "account.alice.source[0].ca_file"),
        ('client_id = "app"', 'client_id = "app"\napi_version = "v62"', "crm.main.api_version"),
        ('client_id = "app"', 'client_id = "app"\nexternal_id = "a b"', "crm.main.external_id"),
        ("https://crm.example.com", "https://crm.example.com:port", "crm.main.url"),
    ],
)
def test_wrong_values(problems, good, old, new, key):
    assert list(problems(good.replace(old, new, 1))) == [key]


@pytest.mark.parametrize(
    ("section", "value"),
    [
        ("schedule.interval", '"0s"'),
        ("schedule.interval", '"1h30m"'),
        ("schedule.settle", "10"),
        ("schedule.retries", "true"),
        ("schedule.reconcile", '"99999999d"'),
        ("service.listen", '"0.0.0.0:8750"'),
        ("service.listen", '"127.0.0.1"'),
        ("service.listen", '"127.0.0.1:99999"'),
        ("service.socket", f'"/{"x" * 120}"'),
        ("state.url", '"sqlite:///relative.db"'),
        ("state.url", '"postgresql+psycopg://u@host:port/db"'),
        ("state.url", '"sqlite://"'),
    ],
)
def test_wrong_settings(problems, good, section, value):
    assert list(problems(f"{section} = {value}\n{good}")) == [section]


def test_a_name_with_other_characters(problems, good):
    ((key, problem),) = problems(good.replace("account.alice", 'account."Alice A."')).items()
    assert key == 'account."Alice A."'
    assert problem.expected == "a name of a to z, 0 to 9, _ and -"


def test_nobody_to_sync(problems, good):
    assert list(problems("")) == ["account"]


# ── Transport security ───────────────────────────────────────────────────────────────────────────────────────


def test_unencrypted_only_to_this_machine(loaded, problems, good):
    assert loaded(good.replace("https://dav.example.com", "http://127.0.0.1:5232")).account
    assert loaded(good.replace("https://dav.example.com", "http://localhost:5232")).account
    plain = good.replace("https://dav.example.com", "http://dav.example.com")
    assert list(problems(plain)) == ["account.alice.source[0].url"]
    assert loaded(plain + 'insecure_host = "dav.example.com"').account


def test_certificates_are_checked_unless_the_host_is_spelt_out(loaded, problems, good):
    assert list(problems(good + "verify = false")) == ["account.alice.source[0].verify"]
    other = problems(good + 'verify = false\ninsecure_host = "example.com"')
    assert list(other) == ["account.alice.source[0].verify"]
    config = loaded(good + 'verify = false\ninsecure_host = "dav.example.com"')
    assert not config.account["alice"].source[0].verify
