"""Who works at Northwind, and who its customers are. All domains end in `.example` (RFC 2606)."""

from dataclasses import dataclass
from uuid import NAMESPACE_DNS, uuid5

DOMAIN = "northwind.example"


@dataclass(frozen=True)
class Person:
    """Somebody who attends meetings."""

    name: str
    email: str

    @property
    def first_name(self) -> str:
        """What colleagues say."""
        return self.name.split()[0]


@dataclass(frozen=True)
class Company:
    """A customer or a prospect, with the ids that a CRM gave to it."""

    name: str
    people: tuple[Person, ...]
    account_id: str
    opportunity_id: str


def _person(name: str, domain: str) -> Person:
    return Person(name, f"{name.lower().replace(' ', '.')}@{domain}")


def _company(name: str, *people: str) -> Company:
    domain = f"{name.lower().replace(' ', '-')}.example"
    return Company(
        name,
        tuple(_person(one, domain) for one in people),
        account_id=crm_id("001", name),
        opportunity_id=crm_id("006", name),
    )


def crm_id(prefix: str, name: str) -> str:
    """Return an id of 18 characters, as a CRM might have given to this thing."""
    return f"{prefix}{uuid5(NAMESPACE_DNS, name).hex[:15].upper()}"


REPS = tuple(
    _person(name, DOMAIN)
    for name in (
        "Mira Lindqvist",
        "Jonas Weber",
        "Priya Raman",
        "Diego Fuentes",
        "Hannah Osei",
        "Luca Moretti",
        "Keiko Tanaka",
        "Owen Gallagher",
    )
)

COMPANIES = (
    _company("Harbour Logistics", "Tom Okafor", "Ines Carvalho"),
    _company("Bluepeak Energy", "Sofia Marin", "Peter Novak"),
    _company("Cedar Clinics", "Amara Diallo", "Ruth Feldman"),
    _company("Fjord Outfitters", "Erik Solberg", "Maja Holm"),
    _company("Granite Insurance", "Colin Hughes", "Nadia Rahimi"),
    _company("Juniper Foods", "Chloe Martin", "Samuel Boateng"),
    _company("Kestrel Robotics", "Yuki Mori", "Daniel Stein"),
    _company("Lantern Books", "Grace Kim", "Oliver Byrne"),
    _company("Meridian Tours", "Elena Petrova", "Marco Conti"),
    _company("Oakline Furniture", "Ben Turner", "Lea Fischer"),
    _company("Pinnacle Schools", "Farah Siddiqui", "James Whitlock"),
    _company("Quarry Software", "Noor Haddad", "Viktor Lund"),
    _company("Redwood Homes", "Carmen Ruiz", "Alan Pritchard"),
    _company("Silverline Media", "Zoe Laurent", "Kwame Mensah"),
    _company("Tidewater Marine", "Astrid Berg", "Rafael Duarte"),
    _company("Umber Ceramics", "Hugo Silva", "Mei Chen"),
    _company("Vantage Analytics", "Ivy Clarke", "Arjun Mehta"),
    _company("Willow Health", "Nina Kovacs", "Patrick Doyle"),
)
