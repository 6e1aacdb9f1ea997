//! How settings are declared: once, with name, type, default, bounds and meaning. The reader, the JSON schema and the
//! reference all come from that declaration.
//!
//! A group of settings is a struct declared with [`settings!`], a fixed set of words an enum declared with
//! [`choices!`].

/// Declares a group of settings: a public struct, and how to read and explain it.
///
/// ```text
/// settings! {
///     /// What the section is for.
///     pub struct Section {
///         /// What the setting means.
///         field: Type = default, within low..=high;
///         /// A setting that must be there.
///         other as "name in the file": Type => required;
///     }
/// }
/// ```
///
/// Between the name of the struct and the brace may stand, in this order: `named FIELD by RULE` for sections that have a
/// name of their own (RULE says what is wrong with it), or `, listed in_order` for those that stand in a list, `shorthand "FIELD"` if a bare list stands for that
/// field, and `check FUNCTION` for what can only be judged when all fields are read. `shown "..."` behind a default
/// describes it where its value does not.
macro_rules! settings {
    (@name $field:ident) => { stringify!($field) };
    (@name $field:ident $name:literal) => { $name };
    (@listed) => { false };
    (@listed $order:ident) => { true };
    (@default) => { Default::default() };
    (@default $default:expr) => { $default };
    (@some) => { None };
    (@some $value:expr) => { Some($value) };
    (@read $self:ident $from:ident $cx:ident $field:ident $name:expr) => {
        $from.read($name, &mut $self.$field, $cx)
    };
    (@read $self:ident $from:ident $cx:ident $field:ident $name:expr, $range:expr) => {
        $from.read_within($name, &mut $self.$field, &$range, $cx)
    };
    (@require $from:ident $cx:ident $name:expr) => {};
    (@require $from:ident $cx:ident $name:expr, required) => { $from.require($name, $cx) };
    (@spell $default:expr) => { Some($crate::setting::Setting::spell(&$default)) };
    (@spell $default:expr, required) => {{
        let _ = &$default;
        None
    }};
    (
        $(#[doc = $about:literal])+
        pub struct $section:ident
        $(named $key:ident by $rule:path)?
        $(, listed $order:ident)?
        $(, shorthand $shorthand:literal)?
        $(, check $check:path)?
        {
            $(
                $(#[doc = $doc:literal])+
                $field:ident $(as $name:literal)?: $type:ty $(= $default:expr)? $(=> $required:ident)?
                    $(, shown $shown:literal)? $(, within $range:expr)?;
            )*
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, PartialEq)]
        pub struct $section {
            $(
                /// The name it has in the file.
                pub $key: String,
            )?
            $( $(#[doc = $doc])+ pub $field: $type, )*
        }

        impl $crate::setting::Section for $section {
            const ABOUT: &'static str = concat!($($about),+).trim_ascii();
            const SHORTHAND: Option<&'static str> = settings!(@some $($shorthand)?);
            const LISTED: bool = settings!(@listed $($order)?);

            fn start() -> Self {
                Self {
                    $( $key: String::new(), )?
                    $( $field: settings!(@default $($default)?), )*
                }
            }

            fn fields() -> Vec<$crate::setting::Field> {
                let start = Self::start();
                vec![$(
                    $crate::setting::Field {
                        name: settings!(@name $field $($name)?),
                        about: concat!($($doc),+).trim_ascii(),
                        shape: <$type as $crate::setting::Setting>::shape(),
                        default: settings!(@spell start.$field $(, $required)?),
                        shown: settings!(@some $($shown)?),
                        bounds: settings!(@some $($crate::setting::Bounds::of::<$type>(&$range))?),
                    }
                ),*]
            }

            fn fill(&mut self, from: &mut $crate::setting::Fields<'_>, cx: &mut $crate::context::Context<'_>) {
                $( self.$key = cx.name(); )?
                $( settings!(@read self from cx $field settings!(@name $field $($name)?) $(, $range)?); )*
                $( settings!(@require from cx settings!(@name $field $($name)?) $(, $required)?); )*
                $( $check(self, from, cx); )?
            }

            fn refuse_name(name: &str) -> Option<$crate::diagnostic::Complaint> {
                let rule: Option<fn(&str) -> Option<$crate::diagnostic::Complaint>> = settings!(@some $($rule)?);
                rule.and_then(|rule| rule(name))
            }
        }
    };
}

/// Declares an enum of which one word is written in the file.
macro_rules! choices {
    (
        $(#[doc = $about:literal])+
        pub enum $choice:ident {
            $( $(#[doc = $doc:literal])+ $variant:ident = $word:literal, )+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $choice {
            $( $(#[doc = $doc])+ $variant, )+
        }

        impl $choice {
            /// All of them, in the order of their declaration.
            pub const ALL: &[Self] = &[$(Self::$variant),+];

            /// The word for it in the file.
            pub fn as_str(self) -> &'static str {
                match self { $( Self::$variant => $word, )+ }
            }
        }

        impl $crate::setting::Setting for $choice {
            fn shape() -> $crate::setting::Shape {
                $crate::setting::Shape::Words(const { &[$(($word, concat!($($doc),+).trim_ascii())),+] })
            }

            fn read(node: &$crate::document::Node, cx: &mut $crate::context::Context<'_>) -> Option<Self> {
                cx.choose(node, &[$(($word, Self::$variant)),+])
            }

            fn spell(&self) -> serde_json::Value {
                self.as_str().into()
            }
        }
    };
}

pub(crate) use {choices, settings};
